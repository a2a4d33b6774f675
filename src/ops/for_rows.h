// Row-wise work dealt to threads.
#pragma once

#include <algorithm>

#include "base/thread_pool.h"

namespace fieldprint {

// About as many rows as a parallel loop takes to begin and end: fewer are not worth waking anybody.
inline constexpr int kRowsAtOnce = 4;

// task(row) for each of `count` rows. It must not throw.
template <class Task>
void for_rows(ThreadPool& pool, int count, Task&& task) {
  pool.run((count + kRowsAtOnce - 1) / kRowsAtOnce, [&](int64_t piece, int) {
    const int begin = static_cast<int>(piece) * kRowsAtOnce;
    for (int row = begin; row < std::min(count, begin + kRowsAtOnce); ++row) task(row);
  });
}

}  // namespace fieldprint
