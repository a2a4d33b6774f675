// What the products of attention have in common on every ISA; internal linkage and no standard library, as in matmul.h.
#pragma once

#include "kernels/table.h"

namespace fieldprint {
namespace {

constexpr int kBlockRows = 6;  // by as many columns as leave registers for what they are made of

inline int row_blocks(int rows) { return (rows + kBlockRows - 1) / kBlockRows; }

// f.operator()<rows>(), rows in [1, M].
template <int M = kBlockRows, class Function>
inline __attribute__((always_inline)) void with_rows(int rows, Function&& f) {
  if constexpr (M > 1) {
    if (rows < M) return with_rows<M - 1>(rows, f);
  }
  f.template operator()<M>();
}

// Asks for what is ahead, evenly over `steps` calls.
struct Fetch {
  const std::byte *next, *further;
  int64_t step;  // bytes

  Fetch(const Ahead& ahead, int64_t steps)
      : next(ahead.from),
        further(ahead.further != nullptr ? ahead.further : ahead.from),
        step(steps > 0 ? ahead.bytes / steps : 0) {}
  inline __attribute__((always_inline)) void operator()() {
    if (step == 0) return;
    __builtin_prefetch(next);
    __builtin_prefetch(further, 0, 2);
    if (step > 64) {  // no more than two lines: a head's keys of a tile are as many steps as rows, each a line or two
      __builtin_prefetch(next + 64);
      __builtin_prefetch(further + 64, 0, 2);
    }
    next += step, further += step;
  }
};

}  // namespace
}  // namespace fieldprint
