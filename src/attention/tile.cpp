#include "attention/tile.h"

#include <algorithm>
#include <cstring>

namespace fieldprint {
namespace {

// A head's numbers from a place on, in pages of `size` positions.
struct Numbers {
  const std::byte *keys, *values;
  int d, size, slot;

  Numbers(const Place& at, int head_dim, int page_size)
      : keys(at.keys), values(at.values), d(head_dim), size(page_size), slot(at.slot) {}
  // Of a page of kTile positions and one head, without squares.
  Numbers(const std::byte* page, int64_t head_bytes, int head_dim)
      : keys(page), values(page + head_bytes * kTile), d(head_dim), size(kTile), slot(0) {}

  template <class Number>
  const Number* keys_as() const {
    return reinterpret_cast<const Number*>(keys) + slot;
  }
  template <class Number>
  const Number* values_as() const {
    return reinterpret_cast<const Number*>(values) + int64_t{slot} * d;
  }
  const int8_t* keys_8() const { return reinterpret_cast<const int8_t*>(keys) + int64_t{slot} * 4; }
  // Where `slot` is the first of four.
  const int8_t* values_8() const { return reinterpret_cast<const int8_t*>(values) + int64_t{slot} * d; }
  const uint16_t* key_scales() const { return scales(keys); }
  const uint16_t* value_scales() const { return scales(values); }

 private:
  const uint16_t* scales(const std::byte* block) const {
    return reinterpret_cast<const uint16_t*>(block + int64_t{d} * size) + slot;
  }
};

// Rows of `count` numbers: [rows][from_stride] to [rows][to_stride].
template <class Number>
void copy_rows(const Number* from, int64_t from_stride, const Number* to, int64_t to_stride, int rows, int64_t count) {
  auto* out = const_cast<Number*>(to);
  for (int i = 0; i < rows; ++i)
    std::memcpy(out + i * to_stride, from + i * from_stride, sizeof(Number) * static_cast<size_t>(count));
}

// `count` positions of Q8_0 values from slot to slot: what lies side by side in both as it is.
void copy_q8_values(const Numbers& from, const Numbers& to, int count) {
  const int64_t d = from.d;
  const auto* in = reinterpret_cast<const int8_t*>(from.values);
  auto* out = reinterpret_cast<int8_t*>(const_cast<std::byte*>(to.values));
  const auto whole = [](const Numbers& at, int slot) { return slot % 4 == 0 && slot + 4 <= at.size; };
  for (int p = 0; p < count;) {
    const int a = from.slot + p, b = to.slot + p;
    if (p + 4 <= count && whole(from, a) && whole(to, b)) {
      std::memcpy(out + b * d, in + a * d, static_cast<size_t>(4 * d));
      p += 4;
    } else {
      for (int64_t i = 0; i < d; ++i) out[q8_value(b, i, to.size, d)] = in[q8_value(a, i, from.size, d)];
      ++p;
    }
  }
}

// Positions [begin, end) from the pages that they are scattered over to one of their own.
void gather(const KvSequence& kv, int layer, int kv_head, int begin, int end, const Numbers& to) {
  const int d = to.d, blocks = d / kKvBlock;
  for (int p = begin; p < end;) {
    const Place place(kv, layer, kv_head, p);
    const Numbers at(place, d, kv.layout().page_size());
    Numbers here = to;
    here.slot = p - begin;
    const int next = std::min(end, place.page_end), count = next - p;
    if (kv.layout().type() == KvType::kQ8_0) {
      copy_rows(at.keys_8(), int64_t{4} * at.size, here.keys_8(), 4 * kTile, d / 4, int64_t{4} * count);
      copy_rows(at.key_scales(), at.size, here.key_scales(), kTile, blocks, count);
      copy_q8_values(at, here, count);
      copy_rows(at.value_scales(), at.size, here.value_scales(), kTile, blocks, count);
    } else {
      const auto copy = [&]<class Number>(Number) {
        copy_rows(at.keys_as<Number>(), at.size, here.keys_as<Number>(), kTile, d, count);
        copy_rows(at.values_as<Number>(), d, here.values_as<Number>(), d, count, d);
      };
      if (kv.layout().type() == KvType::kF32) copy(float());
      else copy(uint16_t());
    }
    p = next;
  }
}

// |k|^2 of positions [begin, end): where they lie, or copied.
const float* squares_of(const KvSequence& kv, int layer, int kv_head, const Place& at, int begin, int end,
                        float* space) {
  const std::byte* from = at.squares + at.slot * sizeof(float);
  if (at.page_end >= end && reinterpret_cast<uintptr_t>(from) % alignof(float) == 0)
    return reinterpret_cast<const float*>(from);
  for (int p = begin; p < end;) {
    const Place place(kv, layer, kv_head, p);
    const int next = std::min(end, place.page_end);
    std::memcpy(space + (p - begin), place.squares + place.slot * sizeof(float),
                sizeof(float) * static_cast<size_t>(next - p));
    p = next;
  }
  return space;
}

}  // namespace

Place::Place(const KvSequence& kv, int layer, int kv_head, int begin) {
  const KvLayout& layout = kv.layout();
  const KvEntry& entry = kv.entries()[static_cast<size_t>(kv.find(begin))];
  keys = entry.page->data() + layout.keys(layer, kv_head);
  values = entry.page->data() + layout.values(layer, kv_head);
  squares = entry.page->data() + layout.squares(layer, kv_head);
  slot = begin % layout.page_size();
  page_end = entry.end;
}

Tile load_tile(const KvSequence& kv, int layer, int kv_head, const Place& place, int begin, int end, bool many,
               const TileSpace& space) {
  const KvLayout& layout = kv.layout();
  const int d = layout.layer(layer).head_dim;
  Numbers at(place, d, layout.page_size());
  if (at.size % kTile != 0 || place.page_end < end || (many && at.size > kTile)) {
    at = Numbers(space.pieces, layout.head_bytes(layer), d);
    gather(kv, layer, kv_head, begin, end, at);
  }
  Tile tile;
  tile.type = layout.type();
  tile.stride = at.size;
  if (tile.type == KvType::kQ8_0) {
    tile.keys_8 = at.keys_8();
    tile.values_8 = at.values_8();
    tile.key_scales = at.key_scales();
    tile.value_scales = at.value_scales();
  } else if (tile.type == KvType::kF32) {
    tile.keys_32 = at.keys_as<float>();
    tile.values_32 = at.values_as<float>();
  } else {
    tile.keys_16 = at.keys_as<uint16_t>();
    tile.values_16 = at.values_as<uint16_t>();
  }
  if (layout.layer(layer).key_squares) tile.squares = squares_of(kv, layer, kv_head, place, begin, end, space.squares);
  return tile;
}

}  // namespace fieldprint
