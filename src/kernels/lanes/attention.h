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

// Numbers that no scale goes with, for the readers of the ISAs.
template <class T>
struct Unscaled {
  using Number = T;
  struct Scale {};
  static void scale(const Product<T>&, int, int, int, Scale*) {}
};

// Asks for what is ahead, evenly over `steps` calls, no more than two lines each: a head's keys of a tile are as many
// steps as rows, each a line or two. One address and a distance: of two addresses GCC makes a vector.
struct Fetch {
  uintptr_t next;
  int64_t distance, step;  // bytes: to what the second cache is asked for, to the next call's

  Fetch(const Ahead& ahead, int64_t steps)
      : next(reinterpret_cast<uintptr_t>(ahead.from)),
        distance(ahead.further != nullptr ? static_cast<int64_t>(reinterpret_cast<uintptr_t>(ahead.further) - next)
                                          : 0),
        step(steps > 0 ? ahead.bytes / steps : 0) {}
  inline __attribute__((always_inline)) void operator()() {
    if (step == 0) return;
    const auto ask = [&](int64_t offset) __attribute__((always_inline)) {
      __builtin_prefetch(reinterpret_cast<const void*>(next + static_cast<uintptr_t>(offset)));
      __builtin_prefetch(reinterpret_cast<const void*>(next + static_cast<uintptr_t>(offset + distance)), 0, 2);
    };
    ask(0);
    if (step > 64) ask(64);
    next += static_cast<uintptr_t>(step);
  }
};

}  // namespace
}  // namespace fieldprint
