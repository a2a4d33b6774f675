// What a machine does at most, measured by the threads and kernels whose figures are to be shares of it.
#pragma once

#include "base/thread_pool.h"
#include "fieldprint/bench.h"
#include "kernels/table.h"

namespace fieldprint {

// Takes about a second. Nobody else may use `pool` meanwhile.
Ceilings measure_ceilings(ThreadPool& pool, const KernelTable& kernels);

}  // namespace fieldprint
