// Speculation, for sessions and the scheduler alike: Speculator says whether and how far to draft, DraftedSteps keeps
// the account of one answer: what was fed, what of it is confirmed, and going back from the rest.
//
// An answer's loop: sample from logits(); feed the token unless confirm() says that it is there already; else settle(),
// and propose() what to feed.
#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "engine/drafts/draft.h"
#include "engine/stepper.h"

namespace fieldprint {

// A step in which answers went on, once their tokens are sampled.
struct StepOutcome {
  int answers = 0;
  int drafted = 0, accepted = 0;  // tokens, of all of them
  bool replayed = false;          // it had tokens to pass again
  bool counts = true;             // false: the time says nothing of such steps
  double seconds = 0;             // with the time for guessing
};

// Of any thread.
class Speculator {
 public:
  // Throws Error kUsage: no such drafts, a draft model of another vocabulary, or none where one is needed.
  explicit Speculator(const Stepper& target);

  std::unique_ptr<Draft> draft() const;  // for one answer; null where speculation is off
  // Tokens that may be drafted for each of `answers` in the next step.
  int most(int answers) const;
  void judged(const StepOutcome& outcome);

 private:
  // Drafts for more answers than this cost more time than they save: the products are no longer bound by memory.
  static constexpr int kMaxAnswers = 4;

  struct Plain {
    double seconds = 0;
    int steps = 0;
  };

  mutable std::mutex mutex_;
  int max_tokens_ = 0;
  bool always_ = false;
  const DraftRow* row_ = nullptr;
  std::shared_ptr<Stepper> model_;
  // The account that bounds losses, in seconds: every plain step pays in a little, a draft what it gains or loses.
  double credit_ = 0;
  std::array<Plain, kMaxAnswers + 1> plain_{};  // steps without drafts, by answers
  double row_cost_ = 0.4;                       // of one row more, in plain steps of one answer
};

class DraftedSteps {
 public:
  explicit DraftedSteps(std::unique_ptr<Draft> draft = nullptr) : draft_(std::move(draft)) {}

  // The tokens that stand, and the logits of the last of them.
  std::span<const TokenId> history(const Sequence& sequence) const;
  std::span<const float> logits(const Sequence& sequence) const;
  std::span<const float> hidden(const Sequence& sequence) const;  // what these logits are made from, where it is kept

  // Of a sampled token that is to be fed: whether it is the one that was drafted here.
  bool confirm(TokenId token);
  // The sequence as if only what is confirmed had ever been fed.
  void settle(Sequence& sequence);

  // What to feed: `next`, and at most `most` drafted tokens. Valid until settle(). More than one: all rows are wanted,
  // for take(), with what they are made from where that is kept.
  std::span<const TokenId> propose(const Sequence& sequence, TokenId next, int most);
  void take(std::span<const float> rows, std::span<const float> hidden = {});
  void forget() { rows_.clear(); }  // the step has failed: nothing was fed

  int drafted() const { return static_cast<int>(fed_.size()) - 1; }  // after propose()
  bool reading() const { return reading_; }                          // the draft has not caught up with the context

 private:
  std::unique_ptr<Draft> draft_;
  std::vector<TokenId> fed_;   // by the last step, where some of it was drafted
  std::vector<float> rows_;    // its logits [fed, vocabulary]; empty: all is settled
  std::vector<float> hidden_;  // [fed, width] or none
  int confirmed_ = 0;          // of the drafted tokens
  bool reading_ = false;
  int length_ = 4;  // to draft: grows where all was right, shrinks to what was
};

}  // namespace fieldprint
