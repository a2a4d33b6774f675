#include "kv/sequence.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/float16.h"

namespace fieldprint {
namespace {

// Numbers `at`, `at + stride` ... of a block: a position's keys or values, in 16 bits.
template <class Round>
void write_halves(uint16_t* at, int64_t stride, const float* x, int n, Round&& round) {
  for (int i = 0; i < n; ++i) at[i * stride] = round(x[i]);
}

// In 8 bits: a scale, rounded to F16 first, for every kKvBlock numbers.
void write_q8_0(int8_t* at, int64_t stride, uint16_t* scales, int64_t scale_stride, const float* x, int n) {
  for (int b = 0; b < n / kKvBlock; ++b, x += kKvBlock) {
    float largest = 0;
    for (int i = 0; i < kKvBlock; ++i) largest = std::max(largest, std::fabs(x[i]));
    const uint16_t scale = float_to_half(largest / 127.0f);
    const float inverse = half_to_float(scale) > 0 ? 1.0f / half_to_float(scale) : 0.0f;
    scales[b * scale_stride] = scale;
    for (int i = 0; i < kKvBlock; ++i) {
      at[(b * kKvBlock + i) * stride] =
          static_cast<int8_t>(std::clamp(std::nearbyint(x[i] * inverse), -127.0f, 127.0f));
    }
  }
}

}  // namespace

KvSequence::KvSequence(const KvSequence& other) : layout_(other.layout_), pool_(other.pool_), pages_(other.pages_) {
  for (KvPage* page : pages_) pool_->hold(page);
}

void KvSequence::reserve(int begin, int end) {
  const int size = layout_->page_size();
  const auto pages = static_cast<size_t>((end + size - 1) / size);
  for (auto i = static_cast<size_t>(begin / size); i < std::min(pages, pages_.size()); ++i) {
    if (!pages_[i]->shared()) continue;
    KvPage* own = pool_->take();
    std::memcpy(own->data(), pages_[i]->data(), static_cast<size_t>(layout_->page_bytes()));
    pool_->give_back(pages_[i]);
    pages_[i] = own;
  }
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
  const int size = layout_->page_size(), slot = position % size, d = shape.head_dim;
  std::byte* page = pages_[static_cast<size_t>(position / size)]->data();
  for (int head = 0; head < shape.kv_heads; ++head, k += d, v += d) {
    std::byte* keys = page + layout_->keys(layer, head);
    std::byte* values = page + layout_->values(layer, head);
    auto* key_halves = reinterpret_cast<uint16_t*>(keys) + slot;
    auto* value_halves = reinterpret_cast<uint16_t*>(values) + int64_t{slot} * d;
    switch (layout_->type()) {
      case KvType::kF16:
        write_halves(key_halves, size, k, d, float_to_half);
        write_halves(value_halves, 1, v, d, float_to_half);
        break;
      case KvType::kBF16:
        write_halves(key_halves, size, k, d, float_to_bfloat16);
        write_halves(value_halves, 1, v, d, float_to_bfloat16);
        break;
      case KvType::kQ8_0: {
        const int64_t scales = layout_->scales(layer);
        write_q8_0(reinterpret_cast<int8_t*>(keys) + slot, size, reinterpret_cast<uint16_t*>(keys + scales) + slot,
                   size, k, d);
        write_q8_0(reinterpret_cast<int8_t*>(values) + int64_t{slot} * d, 1,
                   reinterpret_cast<uint16_t*>(values + scales) + int64_t{slot} * (d / kKvBlock), 1, v, d);
        break;
      }
    }
  }
}

// visit(element, bytes) for every number of a position, in the order that copy_out() says.
template <class Visit>
void KvSequence::visit(int position, Visit&& visit) const {
  const int64_t size = layout_->page_size(), slot = position % size;
  std::byte* page = pages_[static_cast<size_t>(position / size)]->data();
  const bool scaled = layout_->type() == KvType::kQ8_0;
  const int64_t bytes = scaled ? 1 : 2;
  for (int layer = 0; layer < layout_->layers(); ++layer) {
    const int64_t heads = layout_->layer(layer).kv_heads, d = layout_->layer(layer).head_dim,
                  blocks = scaled ? d / kKvBlock : 0;
    for (int head = 0; head < heads; ++head) {
      std::byte* keys = page + layout_->keys(layer, head);
      for (int64_t i = 0; i < d; ++i) visit(keys + (i * size + slot) * bytes, bytes);
      for (int64_t b = 0; b < blocks; ++b) visit(keys + layout_->scales(layer) + (b * size + slot) * 2, 2);
    }
    for (int head = 0; head < heads; ++head) {
      std::byte* values = page + layout_->values(layer, head);
      visit(values + slot * d * bytes, d * bytes);
      if (scaled) visit(values + layout_->scales(layer) + slot * blocks * 2, blocks * 2);
    }
  }
}

void KvSequence::copy_out(int position, std::span<std::byte> bytes) const {
  std::byte* out = bytes.data();
  visit(position, [&](const std::byte* from, int64_t count) { out = std::copy(from, from + count, out); });
}

void KvSequence::copy_in(int position, std::span<const std::byte> bytes) {
  const std::byte* in = bytes.data();
  visit(position, [&](std::byte* to, int64_t count) {
    std::copy(in, in + count, to);
    in += count;
  });
}

}  // namespace fieldprint
