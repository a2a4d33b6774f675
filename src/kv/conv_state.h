// What the short convolutions of one sequence remember: the last taps - 1 inputs of every layer that has one. The
// memory is finite, so it need not be kept for every position: K/V of a prefix and a replay of its last tokens from
// zero state give it back exactly (a layer's state is right once (taps - 1) tokens have passed for it and for each
// convolution below it). Snapshots at chosen positions make the replay shorter; they are bounded in bytes.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "kv/layout.h"

namespace fieldprint {

class ConvState {
 public:
  ConvState(const KvLayout& layout, int64_t max_snapshot_bytes);

  // The kept inputs of `layer`, [taps - 1][width], oldest first; zeros before the sequence's beginning.
  float* layer(int layer) { return values_.data() + start_[static_cast<size_t>(layer)]; }

  // Tokens whose replay from zero state restores everything.
  int reach() const { return reach_; }

  void snapshot(int position);  // the state is that after `position` tokens; the oldest snapshots make room

  // Forgets what came after `tokens` tokens. Sets the state to that of an earlier position and returns how many tokens
  // from there to `tokens` must be replayed.
  int rewind(int tokens);

  int64_t bytes() const;

 private:
  struct Snapshot {
    int position;
    std::vector<float> values;
  };

  std::vector<int64_t> start_;
  std::vector<float> values_;
  std::deque<Snapshot> snapshots_;  // by position
  int64_t max_snapshot_bytes_;
  int reach_ = 0;
};

}  // namespace fieldprint
