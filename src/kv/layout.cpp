#include "kv/layout.h"

#include <cassert>
#include <utility>

namespace fieldprint {

KvLayout::KvLayout(std::vector<KvLayerShape> layers, int page_size) : layers_(std::move(layers)), page_size_(page_size) {
  assert(page_size >= 1);
  int64_t elements = 0;
  for (size_t i = 0; i < layers_.size(); ++i) {
    start_.push_back(elements);
    elements += 2 * layers_[i].kv_heads * head_elements(static_cast<int>(i));
  }
  page_bytes_ = elements * static_cast<int64_t>(sizeof(uint16_t));
}

}  // namespace fieldprint
