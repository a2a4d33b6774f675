// How K and V lie inside a page. A page holds `page_size` positions of every layer, its offsets are in bytes:
//   for each attention layer: for each head a block of keys, then one of values. Side by side: longer pieces are read
//   faster.
// In F16, BF16 and F32 a block of keys is [head_dim][page_size], one of values [page_size][head_dim]: with keys
// transposed a tile's scores are computed with keys across the lanes, in decode and prefill alike. In Q8_0 what an
// integer product adds up at once lies side by side: four dimensions of a key, four positions' numbers of a value's
// dimension: keys [head_dim / 4][page_size][4], values [page_size / 4][head_dim][4], where the last positions of a page
// may be fewer than four. A block's int8 numbers are followed by its F16 scales, one for 32 dimensions of one position:
// [head_dim / 32][page_size]. Where a layer's kind of attention wants |k|^2, a block of keys ends with [page_size]
// float32 of these, of the keys as they are stored; in Q8_0 they need not lie at a multiple of four bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace fieldprint {

enum class KvType { kF16, kBF16, kQ8_0, kF32 };
inline constexpr int kKvTypes = 4;

KvType kv_type(std::string_view name);  // "f16", "bf16", "q8_0", "f32". Throws Error kUsage
std::string_view kv_type_name(KvType type);

inline constexpr int kKvBlock = 32;  // dimensions that share a scale in Q8_0

// Where dimension i of position `slot` is in a Q8_0 block, of pages of `size` positions and heads of d dimensions.
inline int64_t q8_key(int64_t slot, int64_t i, int64_t size) { return (i / 4 * size + slot) * 4 + i % 4; }
inline int64_t q8_value(int64_t slot, int64_t i, int64_t size, int64_t d) {
  const int64_t first = slot / 4 * 4, side_by_side = size - first < 4 ? size - first : 4;
  return first * d + i * side_by_side + slot % 4;
}

// What a layer keeps of the tokens it has seen: keys and values, or recurrent state (recurrent_state.h).
struct KvLayerShape {
  int kv_heads = 0;  // 0: no K/V
  int head_dim = 0;
  bool key_squares = false;
  int64_t state_floats = 0;  // 0: no recurrent state
  int state_replay = 0;      // tokens whose replay rebuilds it from zero; kNoReplay: it depends on all
  int window = 0;            // no query sees keys farther back than so many, its own among them; 0: it sees all
};
inline constexpr int kNoReplay = -1;

class KvLayout {
 public:
  // Throws Error kUnsupported where `type` is Q8_0 and a head's dimensions are no multiple of 32.
  KvLayout(std::vector<KvLayerShape> layers, int page_size, KvType type = KvType::kF16);

  // Pages of the layers of one window alone (windowed_kv.h); 0: of those without. The others have no K/V in them.
  KvLayout of_window(int window) const;
  std::vector<int> windows() const;  // that layers have, each once

  KvType type() const { return type_; }
  int page_size() const { return page_size_; }
  int64_t page_bytes() const { return page_bytes_; }
  int64_t bytes_per_token() const { return page_bytes_ / page_size_; }
  int layers() const { return static_cast<int>(layers_.size()); }
  const KvLayerShape& layer(int layer) const { return layers_[static_cast<size_t>(layer)]; }

  // Tokens whose replay rebuilds the recurrent state of all layers, each from what those below it give; kNoReplay.
  int state_replay() const;

  // Bytes of a number; in Q8_0 without its share of a scale.
  int64_t number_bytes() const { return type_ == KvType::kQ8_0 ? 1 : type_ == KvType::kF32 ? 4 : 2; }
  // Bytes of one position of one head: its keys' or its values' numbers, the keys' with their square, both.
  int64_t head_bytes(int layer) const;
  int64_t key_bytes(int layer) const {
    return head_bytes(layer) + (this->layer(layer).key_squares ? static_cast<int64_t>(sizeof(float)) : 0);
  }
  int64_t pair_bytes(int layer) const { return key_bytes(layer) + head_bytes(layer); }

  // Offsets in bytes from the page's start.
  int64_t keys(int layer, int head) const {
    return start_[static_cast<size_t>(layer)] + head * pair_bytes(layer) * page_size_;
  }
  int64_t values(int layer, int head) const { return keys(layer, head) + key_bytes(layer) * page_size_; }
  int64_t squares(int layer, int head) const { return keys(layer, head) + head_bytes(layer) * page_size_; }
  // From the start of a Q8_0 block to its scales.
  int64_t scales(int layer) const { return int64_t{this->layer(layer).head_dim} * page_size_; }

 private:
  std::vector<KvLayerShape> layers_;
  std::vector<int64_t> start_;
  int page_size_;
  KvType type_;
  int64_t page_bytes_ = 0;
};

}  // namespace fieldprint
