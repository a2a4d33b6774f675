// An executor gives the ops their meaning: `run` is the fast path, `reference` float64 and obvious. This is what they
// have in common; executors.h has the table of all.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <variant>

#include "ops/profiler.h"
#include "ops/sequence_state.h"
#include "ops/step.h"
#include "ops/tensor.h"

namespace fieldprint {

class OpsObserver;
class RunExecutor;
class ReferenceExecutor;

// One of all that there are. An op has an overload for each of them: a missing one does not compile.
using AnyExecutor = std::variant<RunExecutor*, ReferenceExecutor*>;

// One step at a time, from one thread.
class Executor {
 public:
  virtual ~Executor() = default;
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  std::string_view name() const { return name_; }  // in the table (executors.h)

  virtual std::unique_ptr<SequenceState> new_sequence() = 0;  // does not outlive the executor

  // Starts a step; the ops then work on all its rows. Ids are inside the vocabulary, positions inside the context.
  virtual void begin(std::span<const StepSequence> sequences) = 0;
  // Ends it: its result as float32, [rows, x.cols], valid until the next begin().
  virtual std::span<const float> finish(Tensor x) = 0;
  // What the result was made from, Ops::output_head()'s x: [rows, width], valid until the next begin(). Nothing where
  // the model has no such head.
  virtual std::span<const float> hidden() = 0;

  void observe(OpsObserver* observer) { observer_ = observer; }  // nullptr: nobody
  void profile(Profiler* profiler) { profiler_ = profiler; }     // measures every op from now on; nullptr: nobody
  const Work& work() const { return work_; }                     // of all steps since the start

  // ---- For the ops.

  // use(*this as what it is).
  template <class Use>
  decltype(auto) visit(Use&& use) {
    return std::visit([&](auto* executor) -> decltype(auto) { return use(*executor); }, self_);
  }
  const Step& step() const { return step_; }
  OpsObserver* observer() const { return observer_; }
  Profiler* profiler() const { return profiler_; }
  void count(const Work& work) { work_ += work; }
  void keep_hidden(Tensor x) { hidden_ = std::move(x); }
  TensorArena& arena() { return arena_; }

 protected:
  Executor(AnyExecutor self, std::string_view name) : self_(self), name_(name) {}
  Step step_;

 private:
  TensorArena arena_;  // before whatever lives in it

 protected:
  Tensor hidden_;  // held back until the next step

 private:
  const AnyExecutor self_;
  const std::string_view name_;
  OpsObserver* observer_ = nullptr;
  Profiler* profiler_ = nullptr;
  Work work_;
};

// Measures one op from here to the end of the block, where the executor is profiled.
class OpScope {
 public:
  OpScope(const Executor& executor, const char* op, std::string_view weight = {}, int layer = -1, size_t weights = 1)
      : executor_(executor), profiler_(executor.profiler()) {
    if (profiler_ != nullptr) [[unlikely]]
      profiler_->enter(op, weight, layer, weights, executor.work());
  }
  ~OpScope() {
    if (profiler_ != nullptr) [[unlikely]]
      profiler_->leave(executor_.work());
  }
  OpScope(const OpScope&) = delete;
  OpScope& operator=(const OpScope&) = delete;

 private:
  const Executor& executor_;
  Profiler* profiler_;
};

}  // namespace fieldprint
