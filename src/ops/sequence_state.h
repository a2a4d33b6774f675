// What an executor keeps of one sequence between steps: keys and values, recurrent state.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "kv/spans.h"

namespace fieldprint {

class KvSequence;

class SequenceState {
 public:
  virtual ~SequenceState() = default;

  // Keeps the first `tokens` tokens. Returns how many of them must pass again (as a replay) before the next ones can: a
  // convolution's inputs are not kept for every position. The others are as if nothing had come after them.
  virtual int truncate(int tokens) = 0;
  virtual std::unique_ptr<SequenceState> fork() const = 0;  // as this one is now; the two then go their own ways
  virtual KvSequence* kv() { return nullptr; }              // its pages, where it has such: what a saved session holds
  virtual int64_t bytes() const = 0;

  // Labels of its tokens, positions that are still to come among them; truncate() cuts them too.
  Spans spans;
  // Of the last token of the last step, where wanted: the mean over layers and heads of the share of softmax mass of
  // each span, then of the anchor rows in the file.
  bool wants_influence = false;
  std::vector<float> influence;  // [spans + 1]
};

}  // namespace fieldprint
