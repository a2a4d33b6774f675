#include "kv/conv_state.h"

#include <algorithm>

namespace fieldprint {

ConvState::ConvState(const KvLayout& layout, int64_t max_snapshot_bytes) : max_snapshot_bytes_(max_snapshot_bytes) {
  int64_t size = 0;
  for (int i = 0; i < layout.layers(); ++i) {
    const KvLayerShape& layer = layout.layer(i);
    start_.push_back(size);
    if (layer.conv_width == 0) continue;
    size += int64_t{layer.conv_taps - 1} * layer.conv_width;
    reach_ += layer.conv_taps - 1;
  }
  values_.assign(static_cast<size_t>(size), 0.0f);
}

void ConvState::snapshot(int position) {
  const auto bytes = static_cast<int64_t>(values_.size() * sizeof(float));
  if (bytes == 0 || bytes > max_snapshot_bytes_) return;
  if (!snapshots_.empty() && snapshots_.back().position >= position) return;
  while (static_cast<int64_t>(snapshots_.size() + 1) * bytes > max_snapshot_bytes_) snapshots_.pop_front();
  snapshots_.push_back({position, values_});
}

int ConvState::rewind(int tokens) {
  if (values_.empty()) return 0;
  while (!snapshots_.empty() && snapshots_.back().position > tokens) snapshots_.pop_back();
  const int replay = std::min(tokens, reach_);
  if (!snapshots_.empty() && tokens - snapshots_.back().position < replay) {
    values_ = snapshots_.back().values;
    return tokens - snapshots_.back().position;
  }
  std::fill(values_.begin(), values_.end(), 0.0f);
  return replay;
}

int64_t ConvState::bytes() const {
  return static_cast<int64_t>((snapshots_.size() + 1) * values_.size() * sizeof(float));
}

}  // namespace fieldprint
