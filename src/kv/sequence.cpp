#include "kv/sequence.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>

#include "base/float16.h"

namespace fieldprint {
namespace {

// Numbers `first`, `first + stride` ... of a block: a position's keys or values, in 16 or 32 bits.
template <class Round>
void write_numbers(std::byte* block, int64_t first, int64_t stride, const float* x, int n, Round&& round) {
  auto* at = reinterpret_cast<decltype(round(*x))*>(block) + first;
  for (int i = 0; i < n; ++i) at[i * stride] = round(x[i]);
}

// In 8 bits, number i at place(i): a scale, rounded to F16 first, for every kKvBlock numbers. It stays finite, so that
// products with zero weights are zero.
template <class Place>
void write_q8_0(int8_t* block, Place&& place, uint16_t* scales, int64_t scale_stride, const float* x, int n) {
  constexpr float kLargestHalf = 65504;
  for (int b = 0; b < n / kKvBlock; ++b) {
    float largest = 0;
    for (int i = b * kKvBlock; i < (b + 1) * kKvBlock; ++i) largest = std::max(largest, std::fabs(x[i]));
    const uint16_t scale = float_to_half(std::min(largest / 127.0f, kLargestHalf));
    const float inverse = half_to_float(scale) > 0 ? 1.0f / half_to_float(scale) : 0.0f;
    scales[b * scale_stride] = scale;
    for (int i = b * kKvBlock; i < (b + 1) * kKvBlock; ++i)
      block[place(i)] = static_cast<int8_t>(std::lrint(std::clamp(x[i] * inverse, -127.0f, 127.0f)));
  }
}

// |k|^2 of a position as it is stored.
float square(const std::byte* keys, const KvLayout& layout, int layer, int slot) {
  const int size = layout.page_size(), d = layout.layer(layer).head_dim;
  const auto* halves = reinterpret_cast<const uint16_t*>(keys) + slot;
  const auto* floats = reinterpret_cast<const float*>(keys) + slot;
  const auto* bytes = reinterpret_cast<const int8_t*>(keys);
  const auto* scales = reinterpret_cast<const uint16_t*>(keys + layout.scales(layer)) + slot;
  double sum = 0;
  for (int64_t i = 0; i < d; ++i) {
    float x = 0;
    switch (layout.type()) {
      case KvType::kF16:
        x = half_to_float(halves[i * size]);
        break;
      case KvType::kBF16:
        x = bfloat16_to_float(halves[i * size]);
        break;
      case KvType::kF32:
        x = floats[i * size];
        break;
      case KvType::kQ8_0:
        x = half_to_float(scales[i / kKvBlock * size]) * static_cast<float>(bytes[q8_key(slot, i, size)]);
        break;
    }
    sum += static_cast<double>(x) * static_cast<double>(x);
  }
  return static_cast<float>(sum);
}

// For one element more, so that push_back() cannot fail after a page has been taken.
template <class Element>
void make_room(std::vector<Element>& elements) {
  if (elements.size() == elements.capacity()) elements.reserve(elements.size() * 2 + 8);
}

}  // namespace

KvSequence::KvSequence(const KvSequence& other)
    : layout_(other.layout_),
      pool_(other.pool_),
      entries_(other.entries_),
      first_(other.first_),
      released_(other.released_),
      pages_held_(other.pages_held_) {
  for (const KvEntry& entry : entries_) {
    if (entry.page != nullptr) pool_->hold(entry.page);
  }
}

void KvSequence::reserve(int begin, int end, int span_begin) {
  const int size = layout_->page_size();
  const int reserved = entries_.empty() ? 0 : entries_.back().end;
  if (!entries_.empty()) {
    // A last page that can take more is written to as well.
    for (size_t i = begin < reserved ? static_cast<size_t>(find(begin)) : entries_.size() - 1; i < entries_.size();
         ++i) {
      const bool grows = end > reserved && i + 1 == entries_.size() && takes(entries_[i], span_begin);
      if (entries_[i].page == nullptr || !entries_[i].page->shared() || (entries_[i].begin >= end) ||
          (entries_[i].end <= begin && !grows))
        continue;
      KvPage* own = pool_->take();
      std::memcpy(own->data(), entries_[i].page->data(), static_cast<size_t>(layout_->page_bytes()));
      pool_->give_back(entries_[i].page);
      entries_[i].page = own;
    }
  }
  for (int p = reserved; p < end;) {
    const int frame = p / size, stop = std::min(end, (frame + 1) * size);
    if (entries_.empty() || !takes(entries_.back(), span_begin)) {
      make_room(entries_);
      make_room(first_);
      if (first_.size() == static_cast<size_t>(frame)) first_.push_back(static_cast<int>(entries_.size()));
      entries_.push_back({pool_->take(), p, stop});
      ++pages_held_;
    } else {
      entries_.back().end = stop;
    }
    p = stop;
  }
}

// Whether the positions that follow the last entry's may go into its page.
bool KvSequence::takes(const KvEntry& last, int span_begin) const {
  return last.page != nullptr && last.begin >= span_begin && last.end % layout_->page_size() != 0;
}

void KvSequence::truncate(int tokens) {
  while (!entries_.empty() && entries_.back().begin >= tokens) {
    give_back(entries_.back());
    entries_.pop_back();
    if (first_.back() == static_cast<int>(entries_.size())) first_.pop_back();
  }
  if (!entries_.empty()) entries_.back().end = std::min(entries_.back().end, tokens);
  released_ = std::min(released_, entries_.size());
}

void KvSequence::give_back(KvEntry& entry) {
  if (entry.page == nullptr) return;
  pool_->give_back(entry.page);
  entry.page = nullptr;
  --pages_held_;
}

void KvSequence::release(int position) {
  for (; released_ < entries_.size() && entries_[released_].end <= position; ++released_) {
    KvEntry& entry = entries_[released_];
    if (entry.page != nullptr && !entry.page->pinned()) give_back(entry);
  }
}

bool KvSequence::holds(int begin, int end) const {
  for (auto entry = entries_.rbegin(); entry != entries_.rend() && entry->end > begin; ++entry) {
    if (entry->page == nullptr && entry->begin < end) return false;
  }
  return begin >= end || (!entries_.empty() && entries_.back().end >= end);
}

void KvSequence::skip(int tokens) {
  const int size = layout_->page_size();
  for (int p = 0; p < tokens; p += size) {
    first_.push_back(static_cast<int>(entries_.size()));
    entries_.push_back({nullptr, p, std::min(tokens, p + size)});
  }
  released_ = entries_.size();
}

void KvSequence::pin() {
  for (const KvEntry& entry : entries_) {
    if (entry.page != nullptr) pool_->pin(entry.page);
  }
}

void KvSequence::unpin() {
  for (const KvEntry& entry : entries_) {
    if (entry.page != nullptr) pool_->unpin(entry.page);
  }
}

void KvSequence::write(int layer, int position, const float* k, const float* v) {
  const KvLayerShape& shape = layout_->layer(layer);
  const int size = layout_->page_size(), slot = position % size, d = shape.head_dim;
  std::byte* page = data(position);
  for (int head = 0; head < shape.kv_heads; ++head, k += d, v += d) {
    std::byte* keys = page + layout_->keys(layer, head);
    std::byte* values = page + layout_->values(layer, head);
    const auto write_both = [&](auto&& round) {
      write_numbers(keys, slot, size, k, d, round);
      write_numbers(values, int64_t{slot} * d, 1, v, d, round);
    };
    switch (layout_->type()) {
      case KvType::kF16:
        write_both(float_to_half);
        break;
      case KvType::kBF16:
        write_both(float_to_bfloat16);
        break;
      case KvType::kF32:
        write_both([](float x) { return x; });
        break;
      case KvType::kQ8_0: {
        const auto scales = [&](std::byte* block) {
          return reinterpret_cast<uint16_t*>(block + layout_->scales(layer)) + slot;
        };
        write_q8_0(
            reinterpret_cast<int8_t*>(keys), [&](int i) { return q8_key(slot, i, size); }, scales(keys), size, k, d);
        write_q8_0(
            reinterpret_cast<int8_t*>(values), [&](int i) { return q8_value(slot, i, size, d); }, scales(values), size,
            v, d);
        break;
      }
    }
    if (shape.key_squares) {
      const float of_key = square(keys, *layout_, layer, slot);
      std::memcpy(page + layout_->squares(layer, head) + slot * sizeof(float), &of_key, sizeof(float));
    }
  }
}

// visit(element, bytes) for every number of a position, in the order that copy_out() says.
template <class Visit>
void KvSequence::visit(int position, Visit&& visit) const {
  const int64_t size = layout_->page_size(), slot = position % size;
  std::byte* page = data(position);
  const bool scaled = layout_->type() == KvType::kQ8_0;
  const int64_t number = layout_->number_bytes();
  for (int layer = 0; layer < layout_->layers(); ++layer) {
    const int64_t heads = layout_->layer(layer).kv_heads, d = layout_->layer(layer).head_dim;
    const auto visit_scales = [&](std::byte* block) {
      for (int64_t b = 0; b < d / kKvBlock; ++b) visit(block + layout_->scales(layer) + (b * size + slot) * 2, 2);
    };
    for (int head = 0; head < heads; ++head) {
      std::byte* keys = page + layout_->keys(layer, head);
      for (int64_t i = 0; i < d; ++i) {
        if (scaled) visit(keys + q8_key(slot, i, size), 1);
        else visit(keys + (i * size + slot) * number, number);
      }
      if (scaled) visit_scales(keys);
      if (layout_->layer(layer).key_squares)
        visit(page + layout_->squares(layer, head) + slot * 4, static_cast<int64_t>(sizeof(float)));
    }
    for (int head = 0; head < heads; ++head) {
      std::byte* values = page + layout_->values(layer, head);
      if (!scaled) {
        visit(values + slot * d * number, d * number);
        continue;
      }
      for (int64_t i = 0; i < d; ++i) visit(values + q8_value(slot, i, size, d), 1);
      visit_scales(values);
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

int KvSequence::pieces() const {
  int layers = 0;
  for (int layer = 0; layer < layout_->layers(); ++layer) layers += layout_->layer(layer).kv_heads > 0;
  return static_cast<int>(pages_held_) * layers;
}

void KvSequence::read_piece(int piece, std::vector<std::byte>& bytes) const {
  for (const KvEntry& entry : entries_) {
    if (entry.page == nullptr) continue;
    for (int layer = 0; layer < layout_->layers(); ++layer) {
      if (layout_->layer(layer).kv_heads > 0 && piece-- == 0) return read_layer(entry, layer, bytes);
    }
  }
  assert(false);
}

// In the order of addresses, and long runs at once.
void KvSequence::read_layer(const KvEntry& entry, int layer, std::vector<std::byte>& bytes) const {
  const int64_t size = layout_->page_size(), slot = entry.begin % size, count = entry.end - entry.begin;
  const KvLayerShape& shape = layout_->layer(layer);
  const int64_t d = shape.head_dim;
  const bool scaled = layout_->type() == KvType::kQ8_0;
  const int64_t number = layout_->number_bytes();
  bytes.resize(static_cast<size_t>(count * shape.kv_heads * layout_->pair_bytes(layer)));
  std::byte* out = bytes.data();
  const auto take = [&](const std::byte* from, int64_t n) { out = std::copy(from, from + n, out); };
  // `rows` of [page_size] elements each.
  const auto take_rows = [&](const std::byte* block, int64_t rows, int64_t element) {
    for (int64_t row = 0; row < rows; ++row) take(block + (row * size + slot) * element, count * element);
  };
  for (int head = 0; head < shape.kv_heads; ++head) {
    const std::byte* keys = entry.page->data() + layout_->keys(layer, head);
    const std::byte* values = entry.page->data() + layout_->values(layer, head);
    if (scaled) {
      take_rows(keys, d / 4, 4);
      take_rows(keys + layout_->scales(layer), d / kKvBlock, 2);
    } else {
      take_rows(keys, d, number);
    }
    if (shape.key_squares) take_rows(entry.page->data() + layout_->squares(layer, head), 1, sizeof(float));
    if (!scaled) {
      take(values + slot * d * number, count * d * number);
      continue;
    }
    for (int64_t p = slot; p < slot + count; ++p)
      for (int64_t i = 0; i < d; ++i) take(values + q8_value(p, i, size, d), 1);
    take_rows(values + layout_->scales(layer), d / kKvBlock, 2);
  }
  assert(out == bytes.data() + bytes.size());
}

}  // namespace fieldprint
