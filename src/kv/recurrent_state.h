// The recurrent state of one sequence: what layers without K/V remember, a fixed number of floats each (KvLayerShape).
// It is not kept for every position, so going back means to begin earlier and to pass tokens again:
// - A short convolution remembers its last inputs only. A replay of the last tokens from zero state gives them back
//   exactly, once as many have passed as its taps - 1 and those of each convolution below it.
// - What a delta net remembers depends on every token. Going back begins at a snapshot, or at the first token.
// Where one layer is of the second kind, so is the whole. Snapshots are bounded in bytes, and forks share them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "kv/layout.h"

namespace fieldprint {

class RecurrentState {
 public:
  RecurrentState(const KvLayout& layout, int64_t max_snapshot_bytes);

  float* layer(int layer) { return values_.data() + start_[static_cast<size_t>(layer)]; }  // [state_floats]
  std::span<const float> values() const { return values_; }                                // of all layers

  // Tokens whose replay from zero state restores everything; kNoReplay: nothing does.
  int reach() const { return reach_; }

  // Keeps the state, which is that after `position` tokens, for rewind(); others make room. Within a replay from zero,
  // where it is not right yet, nothing is kept.
  void snapshot(int position);

  // Forgets what came after `tokens` tokens. Sets the state to that of an earlier position and returns how many tokens
  // from there to `tokens` must be replayed.
  int rewind(int tokens);
  int replay_cost(int tokens) const;  // what rewind() would return

  bool right() const { return right_from_ == 0; }  // amid a replay too: it began at a snapshot, or with the first token

  void slim(size_t snapshots);  // keeps so many, the latest among them

  // The state after `position` tokens, from elsewhere: [values().size()].
  void restore(int position, std::span<const float> values);

  int64_t bytes() const;
  void visit_memory(const std::function<void(const void* piece, int64_t bytes)>& visit) const;

 private:
  using Values = std::vector<float>;
  struct Snapshot {
    int position;
    std::shared_ptr<Values> values;  // never written to while others hold it
  };
  struct Spare {  // buffers of dropped snapshots: a step allocates none. A fork begins without.
    Spare() = default;
    Spare(const Spare&) {}
    std::vector<std::shared_ptr<Values>> buffers;
  };

  int64_t state_bytes() const { return static_cast<int64_t>(values_.size() * sizeof(float)); }
  void drop(size_t snapshot);
  size_t least_missed(int position) const;

  std::vector<int64_t> start_;
  Values values_;
  std::vector<Snapshot> snapshots_;  // by position
  Spare spare_;
  int64_t max_snapshot_bytes_;
  int reach_;
  int right_from_ = 0;  // after so many tokens values_ are right
};

}  // namespace fieldprint
