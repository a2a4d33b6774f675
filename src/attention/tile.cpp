#include "attention/tile.h"

namespace fieldprint {
namespace {

// Where the numbers of a head lie, from position `begin` on to the end of what its page holds.
struct Place {
  const std::byte* keys;
  const std::byte* values;
  int d, size, slot, page_end;

  Place(const KvSequence& kv, int layer, int kv_head, int begin) {
    const KvLayout& layout = kv.layout();
    d = layout.layer(layer).head_dim;
    size = layout.page_size();
    slot = begin % size;
    const KvEntry& entry = kv.entries()[static_cast<size_t>(kv.find(begin))];
    const std::byte* page = entry.page->data();
    page_end = entry.end;
    keys = page + layout.keys(layer, kv_head);
    values = page + layout.values(layer, kv_head);
  }
  const uint16_t* keys_16() const { return reinterpret_cast<const uint16_t*>(keys) + slot; }
  const uint16_t* values_16() const { return reinterpret_cast<const uint16_t*>(values) + int64_t{slot} * d; }
  const int8_t* keys_8() const { return reinterpret_cast<const int8_t*>(keys) + slot; }
  const int8_t* values_8() const { return reinterpret_cast<const int8_t*>(values) + int64_t{slot} * d; }
  const uint16_t* key_scales() const { return reinterpret_cast<const uint16_t*>(keys + int64_t{d} * size) + slot; }
  const uint16_t* value_scales() const {
    return reinterpret_cast<const uint16_t*>(values + int64_t{d} * size) + int64_t{slot} * (d / kKvBlock);
  }
};

// `count` positions of one page to columns of `keys`, rows of `values`.
void widen_part(const KernelTable& kernels, KvType type, const Place& at, int count, Widen widen, float* keys,
                float* values) {
  switch (type) {
    case KvType::kF16:
      if (widen.keys) kernels.widen_f16(at.keys_16(), at.size, keys, kTile, at.d, count);
      if (widen.values) kernels.widen_f16(at.values_16(), at.d, values, at.d, count, at.d);
      break;
    case KvType::kBF16:
      if (widen.keys) kernels.widen_bf16(at.keys_16(), at.size, keys, kTile, at.d, count);
      if (widen.values) kernels.widen_bf16(at.values_16(), at.d, values, at.d, count, at.d);
      break;
    case KvType::kQ8_0:
      if (widen.keys) kernels.widen_q8_keys(at.keys_8(), at.key_scales(), at.size, keys, kTile, at.d, count);
      if (widen.values) kernels.widen_q8_values(at.values_8(), at.value_scales(), values, count, at.d);
      break;
  }
}

}  // namespace

Tile load_tile(const KernelTable& kernels, const KvSequence& kv, int layer, int kv_head, int begin, int end,
               Widen widen, float* keys, float* values) {
  const KvLayout& layout = kv.layout();
  const int size = layout.page_size();
  const Place first(kv, layer, kv_head, begin);
  const bool whole = size % kTile == 0 && first.page_end >= end, in_place = whole && layout.type() == KvType::kF16;
  if (!in_place) widen = {true, true};
  Tile tile;
  if (widen.keys) {
    tile.keys = keys;
  } else {
    tile.keys_f16 = first.keys_16();
    tile.keys_stride = size;
  }
  if (widen.values) tile.values = values;
  else tile.values_f16 = first.values_16();
  if (whole) {
    widen_part(kernels, layout.type(), first, kTile, widen, keys, values);  // what lies behind `end` is not looked at
    return tile;
  }
  for (int p = begin; p < end;) {
    const Place at(kv, layer, kv_head, p);
    const int next = std::min(end, at.page_end), column = p - begin;
    widen_part(kernels, layout.type(), at, next - p, widen, keys + column, values + int64_t{column} * first.d);
    p = next;
  }
  return tile;
}

Ahead keys_ahead(const KvSequence& kv, int layer, int kv_head, int begin) {
  if (kv.layout().page_size() != kTile) return {};
  return {Place(kv, layer, kv_head, begin).keys, kv.layout().head_bytes(layer) * kTile};
}

Ahead values_ahead(const KvSequence& kv, int layer, int kv_head, int begin) {
  if (kv.layout().page_size() != kTile) return {};
  return {Place(kv, layer, kv_head, begin).values, kv.layout().head_bytes(layer) * kTile};
}

}  // namespace fieldprint
