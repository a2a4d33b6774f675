// One executor of a model and the sequences that step through it, alone or several in one pass over the weights: what
// sessions and the scheduler share. Every call takes the model's step mutex; a sequence belongs to one thread at a
// time.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "engine/loaded_model.h"
#include "engine/revocations.h"
#include "fieldprint/session.h"
#include "ops/executor.h"

namespace fieldprint {

class Stepper;

// The tokens of a sequence, what the executor keeps of them, and the last one's logits.
struct Sequence {
  std::shared_ptr<Stepper> stepper;
  std::unique_ptr<SequenceState> state;
  std::vector<TokenId> tokens;
  int replay = 0;             // of the last tokens, how many must pass again before the next
  std::vector<float> logits;  // [vocabulary] or none
  bool keeps_hidden = false;
  std::vector<float>
      hidden;          // where it is kept: what these logits are made from, behind the last norm; [width] or none
  uint64_t epoch = 0;  // of Stepper::revocations(): it depends on nothing that had been revoked by then

  Sequence() = default;
  Sequence(Sequence&&) noexcept = default;
  Sequence& operator=(Sequence&& other) noexcept;
  ~Sequence();  // gives its pages back
};

struct StepPart {
  Sequence* sequence = nullptr;
  std::span<const TokenId> added;  // at least one, in the vocabulary, within the context
  LogitRows rows = LogitRows::kLast;
  // More than 0: this part adds nothing; it passes so many of the tokens again that sequence->replay asks for, so that
  // a long replay can be dealt to several steps. Otherwise what is due passes along, or before in steps of its own.
  int replay = 0;
};

class Stepper : public std::enable_shared_from_this<Stepper> {
 public:
  // What the steps are for: sequences that grow, or whole texts, each in one step, for their vectors.
  enum class Use { kSequences, kTexts };

  // Throws Error kUsage for options out of range, kUnsupported where sequences cannot grow: in an encoder.
  Stepper(std::shared_ptr<const LoadedModel> model, const SessionOptions& options, Use use = Use::kSequences);

  Sequence begin();
  Sequence fork(const Sequence& of, int size);  // its first `size` tokens, whose pages the two share
  void truncate(Sequence& sequence, int size);  // drops everything from position `size` on

  // What nobody's context may hold any more. A step refuses a sequence that was not checked since it changed.
  Revocations& revocations() { return revocations_; }
  // What of the sequence has been revoked, labels of positions to come among it; none: it may step again.
  std::optional<Revocations::Hit> check(Sequence& sequence);
  // The same for whoever checks before each step: mostly a comparison of two numbers.
  std::optional<Revocations::Hit> recheck(Sequence& sequence) {
    return sequence.epoch == revocations_.epoch() ? std::nullopt : check(sequence);
  }

  void replay(Sequence& sequence);  // passes again what truncate() or a saved session left to do

  // One pass over the weights for all parts. use(the rows' logits, of an encoder their vectors) while nobody else
  // steps. On an exception (memory; StaleSequence before anything was done) every sequence is as before.
  void step(std::span<const StepPart> parts, const std::function<void(std::span<const float>)>& use = {});
  void step(Sequence& sequence, std::span<const TokenId> added, LogitRows rows,
            const std::function<void(std::span<const float>)>& use = {}) {
    const StepPart part{&sequence, added, rows};
    step({&part, 1}, use);
  }

  // task(i) for i in [0, count), on the model's threads. It must not throw.
  template <class Task>
  void parallel(int64_t count, Task&& task) {
    const std::lock_guard lock(model_->step_mutex());
    const OpScope scope(*executor_, "sample");
    model_->pool().run(count, [&](int64_t i, int) { task(i); });
  }

  void check_size(size_t count) const;                 // throws Error kLimit beyond the context
  void check_ids(std::span<const TokenId> ids) const;  // throws Error kBadInput

  const LoadedModel& model() const { return *model_; }
  const std::shared_ptr<const LoadedModel>& shared_model() const { return model_; }
  const SessionOptions& options() const { return options_; }
  int context() const { return context_; }
  int chunk() const { return model_->prefill_chunk(options_.chunk); }
  int chunk_of_rows() const;  // the same where each token's logits are wanted: these take memory
  const Executor& executor() const { return *executor_; }
  // Within use(): what its rows are made from, [rows, width].
  std::span<const float> hidden_rows() { return executor_->hidden(); }
  const Work& work() const { return executor_->work(); }
  void observe(OpsObserver* observer) { executor_->observe(observer); }  // who outlives the steps; nullptr: nobody

 private:
  void refuse_stale(const Sequence& sequence) const {
    if (sequence.epoch != revocations_.epoch()) throw StaleSequence();
  }
  void replay_due(std::span<const StepPart> parts);
  std::span<const float> forward(std::span<const StepSequence> parts);

  std::shared_ptr<const LoadedModel> model_;
  SessionOptions options_;
  int context_ = 0;
  Revocations revocations_;
  std::unique_ptr<Executor> executor_;
  std::vector<StepSequence> step_;
};

}  // namespace fieldprint
