// The run executor: the fast path. Weights stay as the file has them, activations are quantised to 8 bits per 32 where
// a weight's kernel wants that, K/V is paged. The same tokens give the same bits for any threads, chunk or page size.
#pragma once

#include <deque>
#include <utility>

#include "attention/walk.h"
#include "base/thread_pool.h"
#include "kernels/table.h"
#include "kv/layout.h"
#include "kv/page_pool.h"
#include "kv/windowed_kv.h"
#include "ops/executor.h"
#include "ops/for_rows.h"
#include "ops/op_memory.h"
#include "ops/run_sequence.h"
#include "ops/tape.h"

namespace fieldprint {

class RunExecutor final : public Executor {
 public:
  // `kernels` and `pool` outlive the executor; one step at a time may use `pool`.
  RunExecutor(const KernelTable& kernels, ThreadPool& pool, const KvLayout& layout);

  std::unique_ptr<SequenceState> new_sequence() override {
    return std::make_unique<RunSequence>(layout_, pages_, windows_);
  }
  void begin(std::span<const StepSequence> sequences) override;
  std::span<const float> finish(Tensor x) override;
  std::span<const float> hidden() override {
    if (hidden_.rows() == 0) return {};
    return {data(hidden_), static_cast<size_t>(hidden_.rows() * hidden_.cols())};
  }

  // Records what ops do from tape.begin() on; nullptr: nothing is recorded. It outlives its use here.
  void attach(Tape<float>* tape) { tape_ = tape; }

  // ---- For the ops.

  using Number = float;
  Tape<float>* tape() const { return tape_; }
  Tensor make(int rows, int64_t cols) { return arena().make(rows, cols, sizeof(float)); }
  float* data(const Tensor& t) { return arena().data<float>(t); }
  static RunSequence& sequence(const StepSequence& s) { return static_cast<RunSequence&>(*s.state); }

  const KernelTable& kernels() const { return kernels_; }
  ThreadPool& pool() { return pool_; }
  AttendScratch& scratch() { return scratch_; }  // a block a thread: an op's until it returns
  template <class T>
  T& memory() {
    return memory_.get<T>();
  }
  template <class Task>
  void for_rows(int count, Task&& task) {
    fieldprint::for_rows(pool_, count, std::forward<Task>(task));
  }

 private:
  const KernelTable& kernels_;
  ThreadPool& pool_;
  const KvLayout layout_;             // of layers without a window
  PagePool pages_;                    // of these
  std::deque<WindowLayers> windows_;  // of the others
  AttendScratch scratch_;
  OpMemory memory_;
  Tape<float>* tape_ = nullptr;
  Tensor result_;  // held back until the next step
};

}  // namespace fieldprint
