// One step: the tokens of one or more sequences that pass the model together. Its rows are these tokens, sequence after
// sequence.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "fieldprint/tokenizer.h"
#include "ops/sequence_state.h"

namespace fieldprint {

enum class LogitRows { kNone, kLast, kAll, kSome };

// One sequence's part of a step.
struct StepSequence {
  SequenceState* state = nullptr;
  int first_position = 0;           // tokens already in the state
  std::span<const TokenId> tokens;  // appended by this step; at least one
  LogitRows logits = LogitRows::kLast;
  bool replay = false;             // the tokens' K/V are there and stay; only the recurrent state is made again
  int unwanted = 0;                // of kAll: so many of the first tokens' logits are not wanted
  std::span<const int> some = {};  // of kSome: the tokens whose logits are wanted, ascending

  int count() const { return static_cast<int>(tokens.size()); }
  int end() const { return first_position + count(); }
  int output_rows() const {
    switch (logits) {
      case LogitRows::kAll:
        return count() - unwanted;
      case LogitRows::kLast:
        return 1;
      case LogitRows::kSome:
        return static_cast<int>(some.size());
      default:
        return 0;
    }
  }
  // Which of the tokens the i-th of these rows is of.
  int output_row(int i) const {
    return logits == LogitRows::kSome ? some[static_cast<size_t>(i)] : count() - output_rows() + i;
  }
};

class Step {
 public:
  void begin(std::span<const StepSequence> sequences) {
    sequences_.assign(sequences.begin(), sequences.end());
    positions_.clear();
    for (const StepSequence& s : sequences_)
      for (int p = s.first_position; p < s.end(); ++p) positions_.push_back(p);
    ++number_;
  }

  std::span<const StepSequence> sequences() const { return sequences_; }
  int rows() const { return static_cast<int>(positions_.size()); }
  int position(int row) const { return positions_[static_cast<size_t>(row)]; }
  uint64_t number() const { return number_; }  // another one for every step of an executor

  // The rows that want logits.
  int output_rows() const {
    int count = 0;
    for (const StepSequence& s : sequences_) count += s.output_rows();
    return count;
  }

 private:
  std::vector<StepSequence> sequences_;
  std::vector<int> positions_;
  uint64_t number_ = 0;
};

}  // namespace fieldprint
