// anchored, mixed form: o = (1 - g) softmax(q.K^T / sqrt(d)) V + g softmax(q.h^T anchor_scale) V_anchor, h the anchor
// keys. Its scores are those of dot; the second softmax is filled in the same walk (walk.cpp). The joint form, anchors
// as keys that come first in one softmax, is dot over pages that hold them and needs nothing here.
#include "attention/tile.h"

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
      key_tiles_(static_cast<size_t>(kv_heads * tiles() * key_panels(d))),
      value_tiles_(static_cast<size_t>(kv_heads * tiles() * value_panels(d))) {
  for (int row = 0; row < count_; ++row) {
    for (int h = 0; h < kv_heads; ++h) {
      const size_t from = static_cast<size_t>((row * kv_heads + h) * d);
      const int64_t tile = int64_t{h} * tiles() + row / kTile, slot = row % kTile;
      float* key_tile = key_tiles_.data() + tile * key_panels(d);
      float* value_tile = value_tiles_.data() + tile * value_panels(d);
      for (int64_t i = 0; i < d; ++i) {
        key_tile[(slot / kPanel * d + i) * kPanel + slot % kPanel] = keys_[from + static_cast<size_t>(i)];
        value_tile[(i / kPanel * kTile + slot) * kPanel + i % kPanel] = values_[from + static_cast<size_t>(i)];
      }
    }
  }
}

const float* AnchorRows::key_tile(int kv_head, int tile) const {
  return key_tiles_.data() + (int64_t{kv_head} * tiles() + tile) * key_panels(d_);
}

const float* AnchorRows::value_tile(int kv_head, int tile) const {
  return value_tiles_.data() + (int64_t{kv_head} * tiles() + tile) * value_panels(d_);
}

}  // namespace fieldprint
