#include "attention/walk.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <limits>

#include "attention/tile.h"
#include "base/math.h"

namespace fieldprint {

namespace {

constexpr int kMaxRows = 240;             // queries that share each K/V tile: whole register blocks of every ISA
constexpr int kFewRows = 12;              // what reads a tile once or twice: not worth a copy, nor widening
constexpr int kItemsAThread = 8;          // about so many work items: few enough to stream, enough to share
constexpr size_t kWorkBytes = 288 << 10;  // of the scratch, where it can: about half of a second-level cache

constexpr int kBeforeAll = -1;  // position of a tile of anchors: every token sees them

// The first key that token t sees.
int first_key(const Attend& args, const AttendSequence& sequence, int t) {
  const int first = args.window > 0 ? sequence.first_position + t + 1 - args.window : 0;
  return std::max(first, sequence.first_key);
}

// How many keys the tokens before t1 see, the last one the most: those keys are the first ones.
int keys_of(const Attend& args, const AttendSequence& sequence, int t1) {
  return sequence.first_position + (args.causal ? t1 : sequence.tokens);
}

// What an item needs to know of its layer.
struct Shape {
  int d, group, vectors;
  int64_t tile;      // bytes of K and V of a tile in a page
  int64_t key_tile;  // of the keys, with their squares
  bool bytes;        // K and V are in Q8_0: their products are of integers
  bool pages_are_tiles;
  int max_rows;  // what the scratch holds, a multiple of group

  explicit Shape(const Attend& args) {
    const KvLayout& layout = args.sequences[0].kv->layout();
    const KvLayerShape& layer = layout.layer(args.layer);
    d = layer.head_dim;
    group = args.heads / layer.kv_heads;
    vectors = args.spec.kind->vectors;
    tile = 2 * layout.head_bytes(args.layer) * kTile;
    key_tile = layout.key_bytes(args.layer) * kTile;
    bytes = layout.type() == KvType::kQ8_0;
    pages_are_tiles = layout.page_size() == kTile;
    const auto room = static_cast<int64_t>(kWorkBytes) - 2 * tile;  // the tile at work and the one that is prefetched
    const int64_t floats = int64_t{vectors} * (d + kTile) + 2 * d;
    const auto fit = static_cast<int>(room / (floats * static_cast<int64_t>(sizeof(float)) + byte_query()));
    max_rows = std::max(1, std::min(kMaxRows, fit) / group) * group;
    assert(group >= 1 && group <= kMaxRows && d % 8 == 0);
  }

  // Bytes of a row's vectors in 8 bits.
  int64_t byte_query() const {
    const auto block = static_cast<int64_t>(kKvBlock + sizeof(float) + sizeof(int32_t));
    return bytes ? int64_t{vectors} * (d / kKvBlock) * block : 0;
  }
};

// Work space of one item, laid out in a thread's scratch.
struct Space {
  float* q;         // [vectors, rows, d]
  float* products;  // [vectors, rows, kTile]; the first become scores, then weights
  float* split_o;   // [rows, d]
  float* total_o;   // [rows, d]
  float* q_scales;  // [vectors, rows, d / 32]  of the vectors in 8 bits, where these are wanted
  int32_t* q_sums;  // the same
  int8_t* q_bytes;  // [vectors, rows, d]
  TileSpace tile;
  int rows;
  double of_kind[kMaxRows];                 // the kind's factor
  float factor[kMaxRows], scale[kMaxRows];  // that with the layer's scale; what a tile's scores are yet to be scaled by
  int seen[kMaxRows];
  SoftmaxState split[kMaxRows], total[kMaxRows];

  Space(std::byte* memory, int row_count, const Shape& shape) : rows(row_count) {
    const int64_t wide = int64_t{rows} * shape.d, blocks = shape.bytes ? shape.vectors * wide / kKvBlock : 0;
    tile.squares = reinterpret_cast<float*>(memory);
    q = tile.squares + kTile;
    products = q + shape.vectors * wide;
    split_o = products + int64_t{shape.vectors} * rows * kTile;
    total_o = split_o + wide;
    q_scales = total_o + wide;
    q_sums = reinterpret_cast<int32_t*>(q_scales + blocks);
    q_bytes = reinterpret_cast<int8_t*>(q_sums + blocks);
    tile.pieces = reinterpret_cast<std::byte*>(q_bytes + blocks * kKvBlock);
    assert(tile.pieces + shape.tile <= memory + kScratchBytes);
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

  void run(AttendScratch& scratch) {
    prepare();
    set_scale(args_.spec.scale);
    clear_total();
    const int end = keys_of(args_, sequence_, item_.t1);
    const bool shared = item_.partial >= 0;
    for (int split = item_.split0; split < item_.split1; ++split) {
      const int64_t to = item_.partial + int64_t{split - item_.split0} * rows_;
      if (shared) space_.split_o = scratch.outputs.data() + to * shape_.d;
      walk_split(split * kSplit, std::min(end, (split + 1) * kSplit));
      if (shared) std::copy_n(space_.split, rows_, scratch.states.data() + to);
      else merge(space_.split, space_.split_o);
    }
    if (!shared) finish();
  }

  // The states of splits that items have left in the scratch, in order.
  void merge_partials(const AttendScratch& scratch) {
    if (args_.spec.share > 0) prepare();
    clear_total();
    for (int split = item_.split0; split < item_.split1; ++split) {
      const int64_t from = item_.partial + int64_t{split - item_.split0} * rows_;
      merge(scratch.states.data() + from, scratch.outputs.data() + from * shape_.d);
    }
    finish();
  }

 private:
  // Into the total state of every row.
  void merge(const SoftmaxState* states, const float* o) {
    args_.kernels->merge_rows(
        {.state = space_.total, .o = space_.total_o, .other = states, .other_o = o, .rows = rows_, .d = shape_.d});
  }

  // The kind's vectors and factor of every row.
  void prepare() {
    const AttentionKind& kind = *args_.spec.kind;
    const int64_t d = shape_.d;
    for (int r = 0; r < rows_; ++r) {
      const int64_t at = row_offset(r);
      space_.of_kind[r] = kind.prepare(sequence_.q + at, sequence_.r != nullptr ? sequence_.r + at : nullptr, shape_.d,
                                       space_.q + r * d, rows_ * d);
    }
    if (shape_.bytes)
      args_.kernels->quantize_bytes(space_.q, shape_.vectors * rows_ * d, space_.q_bytes, space_.q_scales,
                                    space_.q_sums);
  }

  void set_scale(float scale) {
    for (int r = 0; r < rows_; ++r)
      space_.factor[r] = static_cast<float>(space_.of_kind[r] * static_cast<double>(scale));
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

  int first_key(int t) const { return fieldprint::first_key(args_, sequence_, t); }

  // One split [begin, end) of the keys into the split states.
  void walk_split(int begin, int end) {
    clear_split();
    const bool many = rows_ * shape_.vectors > kFewRows;
    begin = std::max(begin, first_key(item_.t0) / kTile * kTile);
    Place places[3] = {{}, place(begin), place(begin + kTile)};  // of a tile and of the next two
    for (int tile_begin = begin; tile_begin < end; tile_begin += kTile) {
      places[0] = places[1], places[1] = places[2], places[2] = place(tile_begin + 2 * kTile);
      const int tile_end = std::min(end, tile_begin + kTile);
      const Tile tile =
          load_tile(*sequence_.kv, args_.layer, item_.kv_head, places[0], tile_begin, tile_end, many, space_.tile);
      // Prefetched into L1 one product ahead, so that it is still there when it is needed; into L2 a tile earlier.
      during_scores_ = prefetch_values(places);
      during_values_ = prefetch_keys(places + 1);
      // Tokens before the tile see nothing of it, nor do those, the last ones, whose window begins behind it.
      const int first = args_.causal ? std::max(item_.t0, tile_begin - sequence_.first_position) : item_.t0;
      int last = item_.t1;
      while (last > first && first_key(last - 1) >= tile_end) --last;
      if (first == last) continue;
      absorb_tile(tile, tile_begin, tile_end - tile_begin, first, last);
      if (sequence_.mass != nullptr && last == sequence_.tokens) leave_mass(tile_begin, tile_end - tile_begin);
    }
  }

  // Nothing behind the last key.
  Place place(int begin) const {
    const bool there = begin < keys_of(args_, sequence_, item_.t1);
    return there ? Place(*sequence_.kv, args_.layer, item_.kv_head, begin) : Place();
  }

  // The keys or the values of a tile into L1, those of the next one into L2; nothing where pages are not tiles.
  Prefetch prefetch_keys(const Place* tile) const {
    return shape_.pages_are_tiles ? Prefetch{tile[0].keys, shape_.key_tile, tile[1].keys} : Prefetch();
  }
  Prefetch prefetch_values(const Place* tile) const {
    return shape_.pages_are_tiles ? Prefetch{tile[0].values, shape_.tile / 2, tile[1].values} : Prefetch();
  }

  // How many of the `count` keys from position `begin` on token t sees.
  int seen(int begin, int count, int t) const {
    return begin == kBeforeAll ? count : std::min(count, keys_of(args_, sequence_, t + 1) - begin);
  }

  // Absorbs the tile's first `count` keys into the split states of tokens [t0, t1). `begin` is the tile's position.
  void absorb_tile(const Tile& tile, int begin, int count, int t0, int t1) {
    const AttentionKind& kind = *args_.spec.kind;
    const int row0 = (t0 - item_.t0) * shape_.group, rows = (t1 - t0) * shape_.group;
    score(tile, row0, rows, (count + 7) / 8 * 8);
    for (int t = t0, r = row0; t < t1; ++t) {
      const int keys = seen(begin, count, t);
      for (const int next = r + shape_.group; r < next; ++r) {
        float* scores = space_.products + r * kTile;
        if (kind.combine != nullptr) kind.combine(scores, int64_t{rows_} * kTile, tile.squares, keys, scores);
        space_.seen[r] = keys;
        float factor = space_.factor[r];
        if (args_.spec.softcap > 0) {
          args_.kernels->softcap(scores, (keys + 7) / 8 * 8, factor, args_.spec.softcap);
          factor = 1;
        }
        space_.scale[r] = hide(scores, begin, keys, t, factor);
      }
    }
    args_.kernels->softmax_rows({.scores = space_.products + row0 * kTile,
                                 .seen = space_.seen + row0,
                                 .scale = space_.scale + row0,
                                 .state = space_.split + row0,
                                 .o = space_.split_o + int64_t{row0} * shape_.d,
                                 .rows = rows,
                                 .d = shape_.d});
    if (tile.values_8 != nullptr) return add_byte_values(tile, row0, rows);
    // Tokens that see only a part of the tile: each alone, the rest together.
    for (int keys; t0 < t1 && (keys = seen(begin, count, t0)) < count; ++t0) add_values(tile, keys, t0, t0 + 1);
    if (t0 < t1) add_values(tile, count, t0, t1);
  }

  // The products of the vectors of `rows` rows with the tile's first `columns` keys.
  void score(const Tile& tile, int row0, int rows, int columns) {
    const bool all = rows == rows_;  // then the vectors' rows follow each other
    for (int v = 0; v < (all ? 1 : shape_.vectors); ++v) {
      const int m = all ? shape_.vectors * rows : rows;
      const int64_t row = int64_t{v} * rows_ + row0;
      float* products = space_.products + row * kTile;
      const Prefetch prefetch = v == 0 ? during_scores_ : Prefetch();
      if (tile.keys_8 != nullptr) {
        const int64_t block = row * (shape_.d / kKvBlock);
        args_.kernels->score_bytes({.q = space_.q_bytes + row * shape_.d,
                                    .q_scales = space_.q_scales + block,
                                    .q_sums = space_.q_sums + block,
                                    .keys = tile.keys_8,
                                    .key_scales = tile.key_scales,
                                    .stride = tile.stride,
                                    .c = products,
                                    .m = m,
                                    .d = shape_.d,
                                    .prefetch = prefetch});
        continue;
      }
      const auto by = [&]<class Number>(const Number* keys) {
        accumulate(tile.type, ProductOf<Number>{.a = space_.q + row * shape_.d,
                                                .a_stride = shape_.d,
                                                .b = keys,
                                                .b_stride = tile.stride,
                                                .c = products,
                                                .c_stride = kTile,
                                                .m = m,
                                                .inner = shape_.d,
                                                .n = columns,
                                                .fresh = true,
                                                .prefetch = prefetch});
      };
      if (tile.keys_32 != nullptr) by(tile.keys_32);
      else by(tile.keys_16);
    }
  }

  // Adds the tile's first `keys` values, weighted, to the outputs of tokens [t0, t1).
  void add_values(const Tile& tile, int keys, int t0, int t1) {
    const int row0 = (t0 - item_.t0) * shape_.group;
    const auto by = [&]<class Number>(const Number* values) {
      accumulate(tile.type, ProductOf<Number>{.a = space_.products + row0 * kTile,
                                              .a_stride = kTile,
                                              .b = values,
                                              .b_stride = shape_.d,
                                              .c = space_.split_o + int64_t{row0} * shape_.d,
                                              .c_stride = shape_.d,
                                              .m = (t1 - t0) * shape_.group,
                                              .inner = keys,
                                              .n = shape_.d,
                                              .prefetch = during_values_});
    };
    if (tile.values_32 != nullptr) by(tile.values_32);
    else by(tile.values_16);
  }

  // The same of a tile in Q8_0, for each row as many keys as it has seen.
  void add_byte_values(const Tile& tile, int row0, int rows) {
    args_.kernels->add_byte_values({.weights = space_.products + row0 * kTile,
                                    .seen = space_.seen + row0,
                                    .values = tile.values_8,
                                    .scales = tile.value_scales,
                                    .stride = tile.stride,
                                    .c = space_.split_o + int64_t{row0} * shape_.d,
                                    .m = rows,
                                    .d = shape_.d,
                                    .prefetch = during_values_});
  }

  void accumulate(KvType type, const HalfProduct& product) const {
    (type == KvType::kF16 ? args_.kernels->accumulate_f16 : args_.kernels->accumulate_bf16)(product);
  }
  void accumulate(KvType, const FloatProduct& product) const { args_.kernels->accumulate_f32(product); }

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
    const int hidden = begin == kBeforeAll ? 0 : first_key(t) - begin;
    if (hidden <= 0) return factor;
    for (int j = 0; j < keys; ++j)
      scores[j] = j < hidden ? -std::numeric_limits<float>::infinity() : scores[j] * factor;
    return 1;
  }

  // Row r's state with the head's sink among its scores.
  SoftmaxState with_sink(int64_t r) const {
    const SoftmaxState& total = space_.total[r];
    const float sink = args_.spec.sinks[static_cast<size_t>(item_.kv_head * shape_.group + r % shape_.group)];
    const float m = std::max(total.m, sink);
    return {m, std::fma(total.l, exp_f32(total.m - m), exp_f32(sink - m))};
  }

  // Writes the result of every row: total / l, mixed with the anchors where the layer has them.
  void finish() {
    const float share = args_.spec.share;
    if (share > 0) absorb_anchors();
    for (int64_t r = 0; r < rows_; ++r) {
      float* out = sequence_.out + row_offset(static_cast<int>(r));
      const SoftmaxState& total = space_.total[r];
      const SoftmaxState state = args_.spec.sinks.empty() ? total : with_sink(r);
      const float* o = space_.total_o + r * shape_.d;
      float inverse = 0;
      if (!total.empty())
        inverse =
            args_.spec.sinks.empty() ? (1 - share) / total.l : (1 - share) * (exp_f32(total.m - state.m) / state.l);
      if (sequence_.states != nullptr) sequence_.states[row_offset(static_cast<int>(r)) / shape_.d] = state;
      if (share > 0) {
        const float* a = space_.split_o + r * shape_.d;
        const float anchors = share / space_.split[r].l;
        for (int i = 0; i < shape_.d; ++i) out[i] = o[i] * inverse + a[i] * anchors;
      } else {
        for (int i = 0; i < shape_.d; ++i) out[i] = o[i] * inverse;
      }
    }
  }

  // Into the split states.
  void absorb_anchors() {
    const KvSequence& pages = args_.spec.anchors->pages(sequence_.kv->layout().type());
    const int count = args_.spec.anchors->count();
    set_scale(args_.spec.anchor_scale);
    clear_split();
    during_scores_ = during_values_ = {};
    for (int begin = 0; begin < count; begin += kTile) {
      const int end = std::min(count, begin + kTile);
      const Tile tile =
          load_tile(pages, 0, item_.kv_head, Place(pages, 0, item_.kv_head, begin), begin, end, false, space_.tile);
      absorb_tile(tile, kBeforeAll, end - begin, item_.t0, item_.t1);
    }
  }

  const Attend& args_;
  const AttendSequence& sequence_;
  const Shape& shape_;
  const AttendItem& item_;
  const int rows_;
  Space space_;
  Prefetch during_scores_, during_values_;  // by the two products
};

int splits_of(const Attend& args, const AttendSequence& sequence, int t1) {
  return args.spec.share == 1 ? 0 : (keys_of(args, sequence, t1) + kSplit - 1) / kSplit;
}

// The first split that the tokens from t0 on see anything of.
int first_split(const Attend& args, const AttendSequence& sequence, int t0) {
  return args.spec.share == 1 ? 0 : first_key(args, sequence, t0) / kSplit;
}

// Cuts a step into work items. Blocks of rows are items; where one is a large part of the whole, its splits are dealt
// out too, in runs, and its merging follows.
void plan(const Attend& args, const Shape& shape, int threads, AttendScratch& scratch) {
  const int kv_heads = args.heads / shape.group;
  int64_t total = 0;  // splits times rows
  for (const AttendSequence& s : args.sequences) {
    const int splits = splits_of(args, s, s.tokens) - first_split(args, s, args.window > 0 ? s.tokens - 1 : 0);
    total += int64_t{s.tokens} * splits * args.heads;
  }
  const int64_t fair = std::max<int64_t>(1, total / (int64_t{threads} * kItemsAThread));
  scratch.items.clear();
  scratch.merges.clear();
  int64_t partial = 0;
  for (size_t i = 0; i < args.sequences.size(); ++i) {
    const AttendSequence& s = args.sequences[i];
    const int most = shape.max_rows / shape.group, blocks = (s.tokens + most - 1) / most;
    for (int b = blocks;
         b-- > 0;) {  // the last blocks see the most keys: they go first, so that small ones are left over
      const int t0 = static_cast<int>(int64_t{s.tokens} * b / blocks),
                t1 = static_cast<int>(int64_t{s.tokens} * (b + 1) / blocks);
      const int first = first_split(args, s, t0), last = splits_of(args, s, t1), splits = last - first;
      const int rows = (t1 - t0) * shape.group;
      const int runs = threads == 1 ? 1
                                    : static_cast<int>(std::clamp<int64_t>((int64_t{splits} * rows + fair - 1) / fair,
                                                                           1, std::max(1, splits)));
      const int run = (splits + runs - 1) / runs;
      for (int h = 0; h < kv_heads; ++h) {
        AttendItem item{
            .sequence = static_cast<int>(i), .kv_head = h, .t0 = t0, .t1 = t1, .split0 = first, .split1 = last};
        if (runs == 1) {
          scratch.items.push_back(item);
          continue;
        }
        item.partial = partial;
        scratch.merges.push_back(item);
        for (int split = first; split < last; split += run) {
          item.split0 = split;
          item.split1 = std::min(last, split + run);
          item.partial = partial;
          scratch.items.push_back(item);
          partial += int64_t{item.split1 - item.split0} * rows;
        }
      }
    }
  }
  const auto rows = static_cast<size_t>(partial), numbers = rows * static_cast<size_t>(shape.d);
  if (scratch.states.size() < rows) scratch.states.resize(rows);
  if (scratch.outputs.size() < numbers) scratch.outputs.resize(numbers);
}

}  // namespace

void attend(const Attend& args, ThreadPool& pool, AttendScratch& scratch) {
  if (args.sequences.empty()) return;
  const Shape shape(args);
  plan(args, shape, pool.threads(), scratch);
  pool.run(static_cast<int64_t>(scratch.items.size()), [&](int64_t i, int thread) {
    Block(args, shape, scratch.items[static_cast<size_t>(i)], scratch.thread(thread)).run(scratch);
  });
  pool.run(static_cast<int64_t>(scratch.merges.size()), [&](int64_t i, int thread) {
    Block(args, shape, scratch.merges[static_cast<size_t>(i)], scratch.thread(thread)).merge_partials(scratch);
  });
}

}  // namespace fieldprint
