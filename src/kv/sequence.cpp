#include "kv/sequence.h"

#include "base/float16.h"

namespace fieldprint {

void KvSequence::reserve(int tokens) {
  const auto pages = static_cast<size_t>((tokens + layout_->page_size() - 1) / layout_->page_size());
  pages_.reserve(pages);
  while (pages_.size() < pages) pages_.push_back(pool_->take());
}

void KvSequence::truncate(int tokens) {
  const auto pages = static_cast<size_t>((tokens + layout_->page_size() - 1) / layout_->page_size());
  while (pages_.size() > pages) {
    pool_->give_back(pages_.back());
    pages_.pop_back();
  }
}

void KvSequence::write(int layer, int position, const float* k, const float* v) {
  const KvLayerShape& shape = layout_->layer(layer);
  const int size = layout_->page_size(), slot = position % size;
  uint16_t* page = pages_[static_cast<size_t>(position / size)];
  for (int head = 0; head < shape.kv_heads; ++head, k += shape.head_dim, v += shape.head_dim) {
    uint16_t* keys = page + layout_->keys(layer, head) + slot;
    uint16_t* values = page + layout_->values(layer, head) + int64_t{slot} * shape.head_dim;
    for (int i = 0; i < shape.head_dim; ++i) {
      keys[int64_t{i} * size] = float_to_half(k[i]);
      values[i] = float_to_half(v[i]);
    }
  }
}

}  // namespace fieldprint
