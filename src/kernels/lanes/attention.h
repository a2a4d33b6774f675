// Shared by the attention products of every ISA: how rows are cut into blocks, and prefetching. Internal linkage and no
// standard library, as in matmul.h.
#pragma once

#include "kernels/table.h"

namespace fieldprint {
namespace {

constexpr int kBlockRows = 6;  // sums of so many rows and a few columns fit in registers, with their operands

template <int M = kBlockRows>
inline int row_blocks(int rows) {
  return (rows + M - 1) / M;
}

// f.operator()<rows>(), rows in [1, M].
template <int M = kBlockRows, class Function>
inline __attribute__((always_inline)) void with_rows(int rows, Function&& f) {
  if constexpr (M > 1) {
    if (rows < M) return with_rows<M - 1>(rows, f);
  }
  f.template operator()<M>();
}

// f.operator()<rows>(row) for all rows, cut evenly.
template <int M = kBlockRows, class Function>
inline __attribute__((always_inline)) void for_row_blocks(int m, Function&& f) {
  int row = 0;
  for (int blocks = row_blocks<M>(m); blocks > 0; --blocks) {
    const int rows = (m - row + blocks - 1) / blocks;
    with_rows<M>(rows, [&]<int R>() { f.template operator()<R>(row); });
    row += rows;
  }
}

// Issues a Prefetch evenly over `steps` calls. It holds one address and a distance: of two addresses GCC makes a
// vector.
struct Prefetcher {
  uintptr_t next;
  int64_t l2_distance, step;  // bytes, from the lines for L1 to those for L2 and to the next call's

  Prefetcher(const Prefetch& memory, int64_t steps)
      : next(reinterpret_cast<uintptr_t>(memory.l1)),
        l2_distance(memory.l2 != nullptr ? static_cast<int64_t>(reinterpret_cast<uintptr_t>(memory.l2) - next) : 0),
        step(steps > 0 ? memory.bytes / steps : 0) {}
  inline __attribute__((always_inline)) void operator()() {
    for (int64_t line = 0; line < step; line += 64) {
      const uintptr_t at = next + static_cast<uintptr_t>(line);
      __builtin_prefetch(reinterpret_cast<const void*>(at));
      __builtin_prefetch(reinterpret_cast<const void*>(at + static_cast<uintptr_t>(l2_distance)), 0, 2);
    }
    next += static_cast<uintptr_t>(step);
  }
};

}  // namespace
}  // namespace fieldprint
