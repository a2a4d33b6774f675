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

  const uint16_t* keys_16() const { return reinterpret_cast<const uint16_t*>(keys) + slot; }
  const uint16_t* values_16() const { return reinterpret_cast<const uint16_t*>(values) + int64_t{slot} * d; }
  const int8_t* keys_8() const { return reinterpret_cast<const int8_t*>(keys) + slot; }
  const int8_t* values_8() const { return reinterpret_cast<const int8_t*>(values) + int64_t{slot} * d; }
  const uint16_t* key_scales() const { return reinterpret_cast<const uint16_t*>(keys + int64_t{d} * size) + slot; }
  const uint16_t* value_scales() const {
    return reinterpret_cast<const uint16_t*>(values + int64_t{d} * size) + int64_t{slot} * (d / kKvBlock);
  }
};

// Rows of `count` numbers: [rows][from_stride] to [rows][kTile].
template <class Number>
void copy_columns(const Number* from, int64_t from_stride, const void* to, int column, int rows, int count) {
  auto* out = static_cast<Number*>(const_cast<void*>(to)) + column;
  for (int i = 0; i < rows; ++i) std::memcpy(out + i * kTile, from + i * from_stride, sizeof(Number) * count);
}

// Positions [begin, end) from the pages that they are scattered over to one of their own.
void gather(const KvSequence& kv, int layer, int kv_head, int begin, int end, const Numbers& to) {
  const int d = to.d, blocks = d / kKvBlock;
  for (int p = begin; p < end;) {
    const Place place(kv, layer, kv_head, p);
    const Numbers at(place, d, kv.layout().page_size());
    const int next = std::min(end, place.page_end), column = p - begin, count = next - p;
    if (kv.layout().type() == KvType::kQ8_0) {
      copy_columns(at.keys_8(), at.size, to.keys_8(), column, d, count);
      copy_columns(at.key_scales(), at.size, to.key_scales(), column, blocks, count);
      std::memcpy(const_cast<int8_t*>(to.values_8()) + column * d, at.values_8(), static_cast<size_t>(count) * d);
      std::memcpy(const_cast<uint16_t*>(to.value_scales()) + column * blocks, at.value_scales(),
                  sizeof(uint16_t) * count * blocks);
    } else {
      copy_columns(at.keys_16(), at.size, to.keys_16(), column, d, count);
      std::memcpy(const_cast<uint16_t*>(to.values_16()) + column * d, at.values_16(), sizeof(uint16_t) * count * d);
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

Tile load_tile(const KernelTable& kernels, const KvSequence& kv, int layer, int kv_head, const Place& place, int begin,
               int end, bool many, const TileSpace& space) {
  const KvLayout& layout = kv.layout();
  const int d = layout.layer(layer).head_dim;
  Numbers at(place, d, layout.page_size());
  if (at.size % kTile != 0 || place.page_end < end || (many && at.size > kTile)) {
    at = Numbers(space.pieces, layout.head_bytes(layer), d);
    gather(kv, layer, kv_head, begin, end, at);
  }
  Tile tile;
  tile.type = layout.type();
  tile.keys_stride = at.size;
  if (tile.type == KvType::kQ8_0 && many) {
    kernels.widen_q8_keys(at.keys_8(), at.key_scales(), at.size, space.keys, d, kTile);
    kernels.widen_q8_values(at.values_8(), at.value_scales(), space.values, kTile, d);
    tile.keys = space.keys;
    tile.values = space.values;
  } else if (tile.type == KvType::kQ8_0) {
    tile.keys_8 = at.keys_8();
    tile.values_8 = at.values_8();
    tile.key_scales = at.key_scales();
    tile.value_scales = at.value_scales();
  } else {
    tile.keys_16 = at.keys_16();
    tile.values_16 = at.values_16();
  }
  if (layout.layer(layer).key_squares) tile.squares = squares_of(kv, layer, kv_head, place, begin, end, space.squares);
  return tile;
}

}  // namespace fieldprint
