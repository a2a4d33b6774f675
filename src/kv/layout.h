// How K and V lie inside a page. A page holds `page_size` positions of every layer, F16:
//   for each attention layer: keys [kv_heads][head_dim][page_size], then values [kv_heads][page_size][head_dim].
// Keys are stored transposed: a tile's scores are then computed with keys across the lanes, in decode and prefill alike.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace fieldprint {

// What a layer keeps of the tokens it has seen: keys and values, or the last inputs of a short convolution.
struct KvLayerShape {
  int kv_heads = 0;  // 0: no K/V
  int head_dim = 0;
  int conv_width = 0;  // 0: no convolution
  int conv_taps = 0;   // the kernel's length: conv_taps - 1 inputs are kept
};

class KvLayout {
 public:
  KvLayout(std::vector<KvLayerShape> layers, int page_size);

  int page_size() const { return page_size_; }
  int64_t page_bytes() const { return page_bytes_; }
  int64_t bytes_per_token() const { return page_bytes_ / page_size_; }
  const KvLayerShape& layer(int layer) const { return layers_[static_cast<size_t>(layer)]; }

  // Offsets in halves (uint16_t) from the page's start.
  int64_t keys(int layer, int head) const {     // [head_dim][page_size]
    return start_[static_cast<size_t>(layer)] + head * head_elements(layer);
  }
  int64_t values(int layer, int head) const {   // [page_size][head_dim]
    return start_[static_cast<size_t>(layer)] + (this->layer(layer).kv_heads + head) * head_elements(layer);
  }

 private:
  int64_t head_elements(int layer) const { return int64_t{this->layer(layer).head_dim} * page_size_; }

  std::vector<KvLayerShape> layers_;
  std::vector<int64_t> start_;
  int page_size_;
  int64_t page_bytes_ = 0;
};

}  // namespace fieldprint
