// The run executor: the fast path. Weights stay as the file has them, activations are quantised to 8 bits per 32 where
// a weight's kernel wants that, K/V is paged. The same tokens give the same bits for any threads, chunk or page size.
#pragma once

#include <memory>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/table.h"
#include "kv/layout.h"
#include "ops/ops.h"
#include "ops/profiler.h"

namespace fieldprint {

class RunOps : public Ops {
 public:
  virtual Work work() const = 0;                 // of all steps since the start; the run line's GB/s counts its bytes
  virtual void profile(Profiler* profiler) = 0;  // measures every op from now on; nullptr: none
};

// `pool` and `kernels` outlive the executor; one step at a time may use `pool`.
std::unique_ptr<RunOps> make_run_ops(const KernelTable& kernels, ThreadPool& pool, KvLayout layout);

}  // namespace fieldprint
