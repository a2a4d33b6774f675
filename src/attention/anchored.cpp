// anchored, mixed form: o = (1 - g) softmax(q.K^T / sqrt(d)) V + g softmax(q.h^T anchor_scale) V_anchor, h the anchor
// keys. Its scores are those of dot; the second softmax is filled in the same walk (walk.cpp). The joint form, anchors
// as keys that come first in one softmax, is dot over pages that hold them and needs nothing here.
#include "attention/kind.h"

namespace fieldprint {

AttentionKind anchored() {
  AttentionKind kind = dot();
  kind.name = "anchored";
  kind.anchors = true;
  return kind;
}

AnchorRows::AnchorRows(std::vector<float> keys, std::vector<float> values, int kv_heads, int d)
    : d_(d),
      count_(static_cast<int>(keys.size()) / (kv_heads * d)),
      keys_(std::move(keys)),
      values_(std::move(values)),
      key_tiles_(static_cast<size_t>(kv_heads * tiles() * kTile * d)),
      value_tiles_(key_tiles_.size()) {
  for (int row = 0; row < count_; ++row) {
    for (int h = 0; h < kv_heads; ++h) {
      const size_t from = static_cast<size_t>((row * kv_heads + h) * d);
      const size_t tile = (static_cast<size_t>(h) * tiles() + row / kTile) * kTile * d;
      for (int i = 0; i < d; ++i) {
        key_tiles_[tile + static_cast<size_t>(i * kTile + row % kTile)] = keys_[from + i];
        value_tiles_[tile + static_cast<size_t>(row % kTile * d + i)] = values_[from + i];
      }
    }
  }
}

}  // namespace fieldprint
