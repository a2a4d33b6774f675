#include "kv/recurrent_state.h"

#include <algorithm>
#include <cassert>

namespace fieldprint {

RecurrentState::RecurrentState(const KvLayout& layout, int64_t max_snapshot_bytes)
    : max_snapshot_bytes_(max_snapshot_bytes), reach_(layout.state_replay()) {
  int64_t size = 0;
  for (int i = 0; i < layout.layers(); ++i) {
    start_.push_back(size);
    size += layout.layer(i).state_floats;
  }
  values_.assign(static_cast<size_t>(size), 0.0f);
}

void RecurrentState::snapshot(int position) {
  if (values_.empty() || state_bytes() > max_snapshot_bytes_ || position < right_from_) return;
  if (!snapshots_.empty() && snapshots_.back().position >= position) return;
  while (static_cast<int64_t>(snapshots_.size() + 1) * state_bytes() > max_snapshot_bytes_)
    drop(reach_ == kNoReplay ? least_missed(position) : 0);
  if (spare_.buffers.empty()) {
    snapshots_.push_back({position, std::make_shared<Values>(values_)});
  } else {
    snapshots_.push_back({position, std::move(spare_.buffers.back())});
    spare_.buffers.pop_back();
    *snapshots_.back().values = values_;
  }
}

int RecurrentState::replay_cost(int tokens) const {
  if (values_.empty()) return 0;
  int replay = reach_ == kNoReplay ? tokens : std::min(tokens, reach_);
  for (const Snapshot& snapshot : snapshots_) {
    if (snapshot.position <= tokens) replay = std::min(replay, tokens - snapshot.position);
  }
  return replay;
}

void RecurrentState::slim(size_t snapshots) {
  while (snapshots_.size() > snapshots) drop(least_missed(snapshots_.back().position + 1));
  spare_.buffers.clear();
}

int RecurrentState::rewind(int tokens) {
  if (values_.empty()) return 0;
  while (!snapshots_.empty() && snapshots_.back().position > tokens) drop(snapshots_.size() - 1);
  const int replay = replay_cost(tokens);
  if (!snapshots_.empty() && tokens - snapshots_.back().position == replay) {
    values_ = *snapshots_.back().values;
    right_from_ = 0;
    return replay;
  }
  std::fill(values_.begin(), values_.end(), 0.0f);
  right_from_ = replay < tokens ? tokens : 0;  // a replay from the first token is right all the way
  return replay;
}

void RecurrentState::restore(int position, std::span<const float> values) {
  assert(values.size() == values_.size());
  while (!snapshots_.empty()) drop(snapshots_.size() - 1);
  values_.assign(values.begin(), values.end());
  right_from_ = 0;
  snapshot(position);
}

void RecurrentState::visit_memory(const std::function<void(const void*, int64_t)>& visit) const {
  if (values_.empty()) return;
  visit(values_.data(), state_bytes());
  for (const Snapshot& snapshot : snapshots_) visit(snapshot.values.get(), state_bytes());
}

int64_t RecurrentState::bytes() const { return static_cast<int64_t>(snapshots_.size() + 1) * state_bytes(); }

void RecurrentState::drop(size_t snapshot) {
  if (snapshots_[snapshot].values.use_count() == 1) spare_.buffers.push_back(std::move(snapshots_[snapshot].values));
  snapshots_.erase(snapshots_.begin() + static_cast<std::ptrdiff_t>(snapshot));
}

// The one that leaves the smallest gap for its distance from `position`. Gaps so grow with the distance: with a dozen
// snapshots or more, going back by n tokens replays about n at most.
size_t RecurrentState::least_missed(int position) const {
  size_t best = 0;
  double least = 0;
  for (size_t i = 0; i < snapshots_.size(); ++i) {
    const int before = i == 0 ? 0 : snapshots_[i - 1].position;
    const int after = i + 1 < snapshots_.size() ? snapshots_[i + 1].position : position;
    const double gap = static_cast<double>(after - before) / (position - snapshots_[i].position);
    if (i == 0 || gap < least) best = i, least = gap;
  }
  return best;
}

}  // namespace fieldprint
