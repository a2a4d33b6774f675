#include "attention/walk.h"

#include <cassert>
#include <cstring>

#include "base/float16.h"

namespace fieldprint {

AttendScratch::AttendScratch(int threads) : blocks_(static_cast<size_t>(threads) * kScratchBytes + 64) {
  offset_ = static_cast<size_t>(-reinterpret_cast<intptr_t>(blocks_.data())) & 63;
}

namespace {

constexpr int kBlockRows = 48;  // queries (tokens x heads of one group) that share each K/V tile

// K and V of one tile: F16 where they lie, or else decoded to float32: other types, and tiles that cross pages.
struct Tile {
  const uint16_t* keys = nullptr;    // [head_dim][keys_stride]
  const uint16_t* values = nullptr;  // [kTile][head_dim]
  const float* keys_f32 = nullptr;
  const float* values_f32 = nullptr;
  int64_t keys_stride = kTile;
};

// Work space of one item, laid out in a thread's scratch.
struct Space {
  float* q;        // [rows, d]
  float* scores;   // [rows, kTile]
  float* split_o;  // [rows, d]
  float* total_o;  // [rows, d]
  float* keys;     // [d, kTile]
  float* values;   // [kTile, d]
  SoftmaxState split[kBlockRows], total[kBlockRows];

  Space(std::byte* memory, int rows, int d) {
    auto* floats = reinterpret_cast<float*>(memory);
    q = floats;
    split_o = q + rows * d;
    total_o = split_o + rows * d;
    scores = total_o + rows * d;
    keys = scores + rows * kTile;
    values = keys + d * kTile;
    assert(reinterpret_cast<std::byte*>(values + d * kTile) <= memory + kScratchBytes);
  }
};

// Decodes positions [begin, end), all of one page, to columns `column` and on of the tile.
void decode_part(const Attend& args, int kv_head, int begin, int end, int column, Space& space) {
  const KvLayout& layout = args.kv->layout();
  const int size = layout.page_size(), d = layout.layer(args.layer).head_dim, slot = begin % size, count = end - begin;
  const std::byte* page = args.kv->page(begin / size);
  const std::byte* keys = page + layout.keys(args.layer, kv_head);
  const std::byte* values = page + layout.values(args.layer, kv_head);
  float* k = space.keys + column;
  float* v = space.values + column * d;
  if (layout.type() == KvType::kQ8_0) {
    const auto* key_scales = reinterpret_cast<const uint16_t*>(keys + layout.scales(args.layer));
    const auto* value_scales = reinterpret_cast<const uint16_t*>(values + layout.scales(args.layer));
    for (int i = 0; i < d; ++i) {
      const auto* q = reinterpret_cast<const int8_t*>(keys) + int64_t{i} * size + slot;
      const uint16_t* scale = key_scales + int64_t{i / kKvBlock} * size + slot;
      for (int j = 0; j < count; ++j) k[i * kTile + j] = half_to_float(scale[j]) * static_cast<float>(q[j]);
    }
    const auto* q = reinterpret_cast<const int8_t*>(values) + int64_t{slot} * d;
    const uint16_t* scale = value_scales + int64_t{slot} * (d / kKvBlock);
    for (int i = 0; i < count * d; ++i) v[i] = half_to_float(scale[i / kKvBlock]) * static_cast<float>(q[i]);
    return;
  }
  const auto decode = [&](auto&& number) {
    for (int i = 0; i < d; ++i) {
      const auto* from = reinterpret_cast<const uint16_t*>(keys) + int64_t{i} * size + slot;
      for (int j = 0; j < count; ++j) k[i * kTile + j] = number(from[j]);
    }
    const auto* from = reinterpret_cast<const uint16_t*>(values) + int64_t{slot} * d;
    for (int i = 0; i < count * d; ++i) v[i] = number(from[i]);
  };
  if (layout.type() == KvType::kF16) decode([](uint16_t x) { return half_to_float(x); });
  else decode([](uint16_t x) { return bfloat16_to_float(x); });
}

Tile load_tile(const Attend& args, int kv_head, int begin, int end, Space& space) {
  const KvLayout& layout = args.kv->layout();
  const int size = layout.page_size();
  if (layout.type() == KvType::kF16 && size % kTile == 0) {
    const std::byte* page = args.kv->page(begin / size);
    return {.keys = reinterpret_cast<const uint16_t*>(page + layout.keys(args.layer, kv_head)) + begin % size,
            .values = reinterpret_cast<const uint16_t*>(page + layout.values(args.layer, kv_head)) +
                      int64_t{begin % size} * layout.layer(args.layer).head_dim,
            .keys_stride = size};
  }
  for (int p = begin; p < end;) {
    const int next = std::min(end, (p / size + 1) * size);
    decode_part(args, kv_head, p, next, p - begin, space);
    p = next;
  }
  return {.keys_f32 = space.keys, .values_f32 = space.values};
}

// The first key that token t sees.
int first_key(const Attend& args, int t) {
  return args.window > 0 ? std::max(0, args.first_position + t + 1 - args.window) : 0;
}

// Absorbs `keys` keys of the tile at `begin` into the split states of tokens [t0, t1); row 0 is that of token `base`.
void absorb(const Attend& args, const Tile& tile, int d, int begin, int keys, int t0, int t1, int base, int group,
            Space& space) {
  const int first_row = (t0 - base) * group, rows = (t1 - t0) * group;
  const KernelTable& kernels = *args.kernels;
  float* scores = space.scores + first_row * kTile;
  std::memset(scores, 0, sizeof(float) * static_cast<size_t>(rows) * kTile);
  const int columns = (keys + 7) / 8 * 8;
  const float* q = space.q + first_row * d;
  if (tile.keys != nullptr) kernels.accumulate(q, d, tile.keys, tile.keys_stride, scores, kTile, rows, d, columns);
  else kernels.accumulate_f32(q, d, tile.keys_f32, tile.keys_stride, scores, kTile, rows, d, columns);
  for (int r = 0; r < rows; ++r) {
    SoftmaxState& state = space.split[first_row + r];
    // Keys before the window count for nothing.
    for (int j = 0; j < first_key(args, t0 + r / group) - begin; ++j)
      scores[r * kTile + j] = -std::numeric_limits<float>::infinity();
    const float rescale = kernels.softmax_tile(scores + r * kTile, keys, args.scale, &state.m, &state.l);
    float* sum = space.split_o + (first_row + r) * d;
    for (int i = 0; i < d; ++i) sum[i] *= rescale;
  }
  float* o = space.split_o + first_row * d;
  if (tile.values != nullptr) kernels.accumulate(scores, kTile, tile.values, d, o, d, rows, keys, d);
  else kernels.accumulate_f32(scores, kTile, tile.values_f32, d, o, d, rows, keys, d);
}

// One split [begin, end) of the keys, for tokens [t0, t1) and the heads of one kv head, into space.split and split_o.
// Rows are ordered token by token, so that the rows of one token, which see the same keys, are neighbours.
void walk_split(const Attend& args, int kv_head, int t0, int t1, int begin, int end, int group, int d, Space& space) {
  const int rows = (t1 - t0) * group;
  for (int r = 0; r < rows; ++r) space.split[r] = {};
  std::memset(space.split_o, 0, sizeof(float) * static_cast<size_t>(rows * d));
  for (int tile_begin = begin; tile_begin < end; tile_begin += kTile) {
    if (tile_begin + kTile <= first_key(args, t0)) continue;
    const int tile_end = std::min(end, tile_begin + kTile);
    const Tile tile = load_tile(args, kv_head, tile_begin, tile_end, space);
    // Tokens whose position is below tile_end - 1 see only a part of it: each alone, the rest together. Tokens whose
    // window begins behind the tile, the last ones, see nothing of it.
    int t = t0, last = t1;
    while (last > t0 && first_key(args, last - 1) >= tile_end) --last;
    for (; t < last && args.first_position + t < tile_end - 1; ++t) {
      const int keys = args.first_position + t + 1 - tile_begin;
      if (keys > 0) absorb(args, tile, d, tile_begin, keys, t, t + 1, t0, group, space);
    }
    if (t < last) absorb(args, tile, d, tile_begin, tile_end - tile_begin, t, last, t0, group, space);
  }
}

void load_queries(const Attend& args, int kv_head, int t0, int t1, int group, int d, Space& space) {
  for (int t = t0; t < t1; ++t) {
    std::memcpy(space.q + (t - t0) * group * d, args.q + (int64_t{t} * args.heads + kv_head * group) * d,
                sizeof(float) * static_cast<size_t>(group * d));
  }
}

void store(const Attend& args, int kv_head, int t, int g, int group, int d, const SoftmaxState& state, const float* o) {
  float* out = args.out + (int64_t{t} * args.heads + kv_head * group + g) * d;
  const float inverse = 1.0f / state.l;
  for (int i = 0; i < d; ++i) out[i] = o[i] * inverse;
}

}  // namespace

void attend(const Attend& args, ThreadPool& pool, AttendScratch& scratch) {
  const KvLayerShape& shape = args.kv->layout().layer(args.layer);
  const int d = shape.head_dim, group = args.heads / shape.kv_heads;
  const int last = args.first_position + args.tokens;  // keys in sight of the last token
  assert(group >= 1 && group <= kBlockRows && d % 8 == 0);

  const int splits = (last + kSplit - 1) / kSplit;
  if (args.tokens == 1 && splits > 1) {
    // Decode on a long context: the splits are the work items, their states are merged in order afterwards.
    const int64_t stride = d + 2;
    auto& partials = scratch.partials();
    partials.resize(static_cast<size_t>(int64_t{splits} * args.heads * stride));
    pool.run(int64_t{shape.kv_heads} * splits, [&](int64_t item, int thread) {
      const int kv_head = static_cast<int>(item / splits), split = static_cast<int>(item % splits);
      Space space(scratch.thread(thread), group, d);
      load_queries(args, kv_head, 0, 1, group, d, space);
      walk_split(args, kv_head, 0, 1, split * kSplit, std::min(last, (split + 1) * kSplit), group, d, space);
      for (int g = 0; g < group; ++g) {
        float* partial = partials.data() + (int64_t{split} * args.heads + kv_head * group + g) * stride;
        partial[0] = space.split[g].m;
        partial[1] = space.split[g].l;
        std::memcpy(partial + 2, space.split_o + g * d, sizeof(float) * static_cast<size_t>(d));
      }
    });
    std::byte* memory = scratch.thread(0);
    auto* o = reinterpret_cast<float*>(memory);
    for (int h = 0; h < args.heads; ++h) {
      SoftmaxState total;
      std::memset(o, 0, sizeof(float) * static_cast<size_t>(d));
      for (int split = 0; split < splits; ++split) {
        const float* partial = partials.data() + (int64_t{split} * args.heads + h) * stride;
        merge(total, o, {partial[0], partial[1]}, partial + 2, d);
      }
      store(args, h / group, 0, h % group, group, d, total, o);
    }
    return;
  }

  const int block = std::max(1, kBlockRows / group);
  const int blocks = (args.tokens + block - 1) / block;
  pool.run(int64_t{shape.kv_heads} * blocks, [&](int64_t item, int thread) {
    // The last blocks see the most keys: they go first, so that no thread is left with one at the end.
    const int kv_head = static_cast<int>(item % shape.kv_heads),
              t0 = (blocks - 1 - static_cast<int>(item / shape.kv_heads)) * block;
    const int t1 = std::min(args.tokens, t0 + block), rows = (t1 - t0) * group;
    Space space(scratch.thread(thread), rows, d);
    load_queries(args, kv_head, t0, t1, group, d, space);
    std::memset(space.total_o, 0, sizeof(float) * static_cast<size_t>(rows * d));
    const int end = args.first_position + t1;
    for (int begin = 0; begin < end; begin += kSplit) {
      walk_split(args, kv_head, t0, t1, begin, std::min(end, begin + kSplit), group, d, space);
      for (int r = 0; r < rows; ++r)
        merge(space.total[r], space.total_o + r * d, space.split[r], space.split_o + r * d, d);
    }
    for (int r = 0; r < rows; ++r)
      store(args, kv_head, t0 + r / group, r % group, group, d, space.total[r], space.total_o + r * d);
  });
}

}  // namespace fieldprint
