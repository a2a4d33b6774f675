#include "attention/walk.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <limits>

#include "attention/state.h"
#include "attention/tile.h"

namespace fieldprint {

AttendScratch::AttendScratch(int threads) : blocks_(static_cast<size_t>(threads) * kScratchBytes + 64) {
  offset_ = static_cast<size_t>(-reinterpret_cast<intptr_t>(blocks_.data())) & 63;
}

namespace {

constexpr int kMaxRows = 120;     // queries that share each K/V tile: whole register blocks of every ISA
constexpr int kWidenRows = 6;     // with more rows than one register block a tile is worth making float32 first
constexpr int kItemsAThread = 8;  // about so many work items: few enough to stream, enough to share

// What an item needs to know of its layer.
struct Shape {
  int d, group, vectors;
  int max_rows;  // what the scratch holds, a multiple of group

  explicit Shape(const Attend& args) {
    const KvLayerShape& layer = args.sequences[0].kv->layout().layer(args.layer);
    d = layer.head_dim;
    group = args.heads / layer.kv_heads;
    vectors = args.spec.kind->vectors;
    const int64_t row = int64_t{vectors} * (d + kTile) + 2 * d;
    const auto fit =
        static_cast<int>((static_cast<int64_t>(kScratchBytes / sizeof(float)) - 2 * kTile * d - kTile) / row);
    max_rows = std::max(1, std::min(kMaxRows, fit) / group) * group;
    assert(group >= 1 && group <= kMaxRows && d % 8 == 0);
  }
};

// Work space of one item, laid out in a thread's scratch.
struct Space {
  float* q;         // [vectors, rows, d]
  float* products;  // [vectors, rows, kTile]; the first become scores, then weights
  float* split_o;   // [rows, d]
  float* total_o;   // [rows, d]
  float* keys;      // [d, kTile]
  float* values;    // [kTile, d]
  float* squares;   // [kTile]: |k|^2
  int rows;
  float factor[kMaxRows];
  SoftmaxState split[kMaxRows], total[kMaxRows];

  Space(std::byte* memory, int row_count, const Shape& shape) : rows(row_count) {
    const int64_t wide = int64_t{rows} * shape.d, tile = int64_t{kTile} * shape.d;
    q = reinterpret_cast<float*>(memory);
    products = q + shape.vectors * wide;
    split_o = products + int64_t{shape.vectors} * rows * kTile;
    total_o = split_o + wide;
    keys = total_o + wide;
    values = keys + tile;
    squares = values + tile;
    assert(reinterpret_cast<std::byte*>(squares + kTile) <= memory + kScratchBytes);
  }
};

// One block of rows at work. Rows are ordered token by token, so that the rows of one token, which see the same keys,
// are neighbours.
class Block {
 public:
  Block(const Attend& args, const Shape& shape, const AttendItem& item, std::byte* memory)
      : args_(args),
        sequence_(args.sequences[static_cast<size_t>(item.sequence)]),
        shape_(shape),
        item_(item),
        rows_((item.t1 - item.t0) * shape.group),
        space_(memory, rows_, shape) {}

  void run(float* partials) {
    const int64_t d = shape_.d;
    prepare(args_.spec.scale);
    clear_total();
    const int end = sequence_.first_position + item_.t1;
    for (int split = item_.split0; split < item_.split1; ++split) {
      walk_split(split * kSplit, std::min(end, (split + 1) * kSplit));
      if (item_.partial < 0) {
        for (int r = 0; r < rows_; ++r)
          merge(space_.total[r], space_.total_o + r * d, space_.split[r], space_.split_o + r * d, shape_.d);
        continue;
      }
      float* to = partials + item_.partial + (split - item_.split0) * rows_ * (d + 2);
      for (int r = 0; r < rows_; ++r, to += d + 2) {
        to[0] = space_.split[r].m;
        to[1] = space_.split[r].l;
        std::memcpy(to + 2, space_.split_o + r * d, sizeof(float) * static_cast<size_t>(d));
      }
    }
    if (item_.partial < 0) finish();
  }

  // The states of splits that items have left in `partials`, in order.
  void merge_partials(const float* partials) {
    const int64_t d = shape_.d;
    clear_total();
    const float* from = partials + item_.partial;
    for (int split = item_.split0; split < item_.split1; ++split) {
      for (int r = 0; r < rows_; ++r, from += d + 2)
        merge(space_.total[r], space_.total_o + r * d, {from[0], from[1]}, from + 2, shape_.d);
    }
    finish();
  }

 private:
  // The kind's vectors and factor of every row.
  void prepare(float scale) {
    const AttentionKind& kind = *args_.spec.kind;
    const int64_t d = shape_.d;
    for (int r = 0; r < rows_; ++r) {
      const int64_t at = row_offset(r);
      space_.factor[r] = kind.prepare(sequence_.q + at, sequence_.r != nullptr ? sequence_.r + at : nullptr, shape_.d,
                                      scale, space_.q + r * d, rows_ * d);
    }
  }

  // Of row r within q, r and out.
  int64_t row_offset(int r) const {
    return (int64_t{item_.t0 + r / shape_.group} * args_.heads + item_.kv_head * shape_.group + r % shape_.group) *
           shape_.d;
  }

  void clear_total() {
    std::fill_n(space_.total, rows_, SoftmaxState());
    std::memset(space_.total_o, 0, sizeof(float) * static_cast<size_t>(rows_ * shape_.d));
  }
  void clear_split() {
    std::fill_n(space_.split, rows_, SoftmaxState());
    std::memset(space_.split_o, 0, sizeof(float) * static_cast<size_t>(rows_ * shape_.d));
  }

  // The first key that token t sees.
  int first_key(int t) const {
    return args_.window > 0 ? std::max(0, sequence_.first_position + t + 1 - args_.window) : 0;
  }

  // One split [begin, end) of the keys into the split states.
  void walk_split(int begin, int end) {
    clear_split();
    const KvSequence& kv = *sequence_.kv;
    const bool many = rows_ > kWidenRows;
    const Widen widen{many || args_.spec.kind->key_squares, many};
    for (int tile_begin = begin; tile_begin < end; tile_begin += kTile) {
      if (tile_begin + kTile <= first_key(item_.t0)) continue;
      const int tile_end = std::min(end, tile_begin + kTile), next = tile_begin + kTile;
      const Tile tile = load_tile(*args_.kernels, kv, args_.layer, item_.kv_head, tile_begin, tile_end, widen,
                                  space_.keys, space_.values);
      const bool more = next < sequence_.first_position + item_.t1;
      keys_ahead_ = more ? keys_ahead(kv, args_.layer, item_.kv_head, next) : Ahead();
      values_ahead_ = more ? values_ahead(kv, args_.layer, item_.kv_head, next) : Ahead();
      // What was made float32 was read in one go, and so is the next asked for.
      if (tile.keys != nullptr) keys_ahead_.prefetch(0, 1, 1);
      if (tile.values != nullptr) values_ahead_.prefetch(0, 1, 1);
      square(tile);
      // Tokens whose position is below tile_end - 1 see only a part of it: each alone, the rest together. Tokens whose
      // window begins behind the tile, the last ones, see nothing of it.
      int t = item_.t0, last = item_.t1;
      while (last > t && first_key(last - 1) >= tile_end) --last;
      for (; t < last && sequence_.first_position + t < tile_end - 1; ++t) {
        const int keys = sequence_.first_position + t + 1 - tile_begin;
        if (keys <= 0) continue;
        absorb_tile(tile, tile_begin, keys, t, t + 1);
        if (sequence_.mass != nullptr && t + 1 == sequence_.tokens) leave_mass(tile_begin, keys);
      }
      if (t < last) {
        absorb_tile(tile, tile_begin, tile_end - tile_begin, t, last);
        if (sequence_.mass != nullptr && last == sequence_.tokens) leave_mass(tile_begin, tile_end - tile_begin);
      }
    }
  }

  void square(const Tile& tile) {
    if (!args_.spec.kind->key_squares) return;
    std::memset(space_.squares, 0, sizeof(float) * kTile);
    args_.kernels->column_squares(tile.keys, tile.keys_stride, space_.squares, shape_.d, kTile);
  }

  // Absorbs the tile's first `keys` keys into the split states of tokens [t0, t1). `begin` is the tile's position.
  void absorb_tile(const Tile& tile, int begin, int keys, int t0, int t1) {
    const KernelTable& kernels = *args_.kernels;
    const AttentionKind& kind = *args_.spec.kind;
    const int d = shape_.d, row0 = (t0 - item_.t0) * shape_.group, rows = (t1 - t0) * shape_.group;
    const int columns = (keys + 7) / 8 * 8;
    const int64_t stride = int64_t{rows_} * kTile;
    for (int v = 0; v < shape_.vectors; ++v) {
      const float* q = space_.q + (int64_t{v} * rows_ + row0) * d;
      float* products = space_.products + v * stride + row0 * kTile;
      std::memset(products, 0, sizeof(float) * static_cast<size_t>(rows) * kTile);
      multiply(q, d, {tile.keys, tile.keys_f16, tile.keys_stride}, products, kTile, rows, d, columns, keys_ahead_);
    }
    for (int r = row0; r < row0 + rows; ++r) {
      float* scores = space_.products + r * kTile;
      if (kind.combine != nullptr) kind.combine(scores, stride, space_.squares, keys);
      const float factor = hide(scores, begin, keys, item_.t0 + r / shape_.group, space_.factor[r]);
      absorb(kernels, space_.split[r], space_.split_o + int64_t{r} * d, d, scores, keys, factor);
    }
    const float* weights = space_.products + row0 * kTile;
    float* o = space_.split_o + int64_t{row0} * d;
    multiply(weights, kTile, {tile.values, tile.values_f16, d}, o, d, rows, keys, d, values_ahead_);
  }

  struct Numbers {
    const float* f32;
    const uint16_t* f16;
    int64_t stride;
  };

  // c [rows, n] += a [rows, inner] b [inner, n]. F16 comes straight from memory: the next tile's is asked for
  // meanwhile.
  void multiply(const float* a, int64_t a_stride, const Numbers& b, float* c, int64_t c_stride, int rows, int inner,
                int n, const Ahead& ahead) const {
    if (b.f32 != nullptr)
      return args_.kernels->accumulate_f32(a, a_stride, b.f32, b.stride, c, c_stride, rows, inner, n);
    const int step = rows <= 3 ? 32 : 16;
    for (int i = 0; i < n; i += step) {
      const int end = std::min(n, i + step);
      ahead.prefetch(i, end, n);
      args_.kernels->accumulate(a, a_stride, b.f16 + i, b.stride, c + i, c_stride, rows, inner, end - i);
    }
  }

  // For Influence: the sums of the last token's weights over the tile just absorbed, span by span.
  void leave_mass(int begin, int keys) const {
    const Influence& influence = *sequence_.influence;
    for (int p = influence.first_piece(begin / kTile);
         p < influence.pieces() && influence.piece(p).begin < begin + keys; ++p) {
      const int from = influence.piece(p).begin - begin, to = influence.piece(p).end - begin;
      for (int i = 0; i < shape_.group; ++i) {
        const int row = rows_ - shape_.group + i;
        const float* weights = space_.products + int64_t{row} * kTile;
        float sums[8] = {};
        int j = from;
        for (; j + 8 <= to; j += 8)
          for (int lane = 0; lane < 8; ++lane) sums[lane] += weights[j + lane];
        for (; j < to; ++j) sums[0] += weights[j];
        const float sum = ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
        sequence_.mass[(int64_t{item_.kv_head} * shape_.group + i) * influence.pieces() + p] = {space_.split[row].m,
                                                                                                sum};
      }
    }
  }

  // Keys before token t's window count for nothing. Returns what is left to scale by: a factor may be negative or zero,
  // which would make anything but a hidden key of -inf.
  float hide(float* scores, int begin, int keys, int t, float factor) const {
    const int hidden = first_key(t) - begin;
    if (hidden <= 0) return factor;
    for (int j = 0; j < keys; ++j)
      scores[j] = j < hidden ? -std::numeric_limits<float>::infinity() : scores[j] * factor;
    return 1;
  }

  // Writes the result of every row: total / l, mixed with the anchors where the layer has them.
  void finish() {
    const float share = args_.spec.share;
    for (int r = 0; r < rows_; ++r) {
      float* out = sequence_.out + row_offset(r);
      const float weight = share > 0 ? 1 - share : 1;
      store(out, weight, space_.total[r], space_.total_o + int64_t{r} * shape_.d);
    }
    if (share > 0) mix_anchors();
  }

  void store(float* out, float weight, const SoftmaxState& state, const float* o) const {
    const float inverse = state.empty() ? 0 : weight / state.l;
    for (int i = 0; i < shape_.d; ++i) out[i] = o[i] * inverse;
  }

  void mix_anchors() {
    const AnchorRows& anchors = *args_.spec.anchors;
    prepare(args_.spec.anchor_scale);
    clear_split();
    for (int i = 0; i < anchors.tiles(); ++i) {
      const Tile tile{.keys = anchors.key_tile(item_.kv_head, i), .values = anchors.value_tile(item_.kv_head, i)};
      square(tile);
      absorb_tile(tile, std::numeric_limits<int>::max(), std::min(kTile, anchors.count() - i * kTile), item_.t0,
                  item_.t1);
    }
    for (int r = 0; r < rows_; ++r) {
      float* out = sequence_.out + row_offset(r);
      const float* o = space_.split_o + int64_t{r} * shape_.d;
      const float inverse = args_.spec.share / space_.split[r].l;
      for (int i = 0; i < shape_.d; ++i) out[i] += o[i] * inverse;
    }
  }

  const Attend& args_;
  const AttendSequence& sequence_;
  const Shape& shape_;
  const AttendItem& item_;
  const int rows_;
  Space space_;
  Ahead keys_ahead_, values_ahead_;
};

int splits_of(const Attend& args, const AttendSequence& sequence, int t1) {
  return args.spec.share == 1 ? 0 : (sequence.first_position + t1 + kSplit - 1) / kSplit;
}

// Cuts a step into work items. Blocks of rows are items; where one is a large part of the whole, its splits are dealt
// out too, in runs, and its merging follows.
void plan(const Attend& args, const Shape& shape, int threads, AttendScratch& scratch) {
  const int kv_heads = args.heads / shape.group;
  int64_t total = 0;  // splits times rows
  for (const AttendSequence& s : args.sequences) total += int64_t{s.tokens} * splits_of(args, s, s.tokens) * args.heads;
  const int64_t fair = std::max<int64_t>(1, total / (int64_t{threads} * kItemsAThread));
  scratch.items.clear();
  scratch.merges.clear();
  int64_t partial = 0;
  for (size_t i = 0; i < args.sequences.size(); ++i) {
    const AttendSequence& s = args.sequences[i];
    const int most = shape.max_rows / shape.group, blocks = (s.tokens + most - 1) / most;
    for (int b = blocks;
         b-- > 0;) {  // the last blocks see the most keys: they go first, so that none is left over late
      const int t0 = static_cast<int>(int64_t{s.tokens} * b / blocks),
                t1 = static_cast<int>(int64_t{s.tokens} * (b + 1) / blocks);
      const int rows = (t1 - t0) * shape.group, splits = splits_of(args, s, t1);
      const int runs = threads == 1 ? 1
                                    : static_cast<int>(std::clamp<int64_t>((int64_t{splits} * rows + fair - 1) / fair,
                                                                           1, std::max(1, splits)));
      const int run = (splits + runs - 1) / runs;
      for (int h = 0; h < kv_heads; ++h) {
        AttendItem item{
            .sequence = static_cast<int>(i), .kv_head = h, .t0 = t0, .t1 = t1, .split0 = 0, .split1 = splits};
        if (runs == 1) {
          scratch.items.push_back(item);
          continue;
        }
        item.partial = partial;
        scratch.merges.push_back(item);
        for (int split = 0; split < splits; split += run) {
          item.split0 = split;
          item.split1 = std::min(splits, split + run);
          item.partial = partial;
          scratch.items.push_back(item);
          partial += int64_t{item.split1 - item.split0} * rows * (shape.d + 2);
        }
      }
    }
  }
  if (scratch.partials.size() < static_cast<size_t>(partial)) scratch.partials.resize(static_cast<size_t>(partial));
}

}  // namespace

void attend(const Attend& args, ThreadPool& pool, AttendScratch& scratch) {
  if (args.sequences.empty()) return;
  const Shape shape(args);
  plan(args, shape, pool.threads(), scratch);
  pool.run(static_cast<int64_t>(scratch.items.size()), [&](int64_t i, int thread) {
    Block(args, shape, scratch.items[static_cast<size_t>(i)], scratch.thread(thread)).run(scratch.partials.data());
  });
  pool.run(static_cast<int64_t>(scratch.merges.size()), [&](int64_t i, int thread) {
    Block(args, shape, scratch.merges[static_cast<size_t>(i)], scratch.thread(thread))
        .merge_partials(scratch.partials.data());
  });
}

}  // namespace fieldprint
