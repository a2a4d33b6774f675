#include "attention/backward.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <limits>

#include "base/math.h"

namespace fieldprint {
namespace {

constexpr int kQueries = 64;  // of a tile
constexpr int kLanes = 8;     // sums of a dot product: element i goes to sum i mod kLanes

float added(const float (&sums)[kLanes]) {
  return ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

float dot_product(const float* a, const float* b, int n) {
  float sums[kLanes] = {};
  for (int i = 0; i < n; i += kLanes)
    for (int lane = 0; lane < kLanes; ++lane) sums[lane] += a[i + lane] * b[i + lane];
  return added(sums);
}

// Keys and values of one kv head, and their gradients where these are wanted.
struct Keys {
  const float *k = nullptr, *v = nullptr;  // row j at j * stride
  float *dk = nullptr, *dv = nullptr;
  int64_t stride = 0;
  int count = 0;
  float scale = 1, share = 1;  // of the scores; of the result
  // In the thread's scratch:
  float *kt = nullptr, *vt = nullptr;              // [tiles][d][kTile]
  float *squares = nullptr, *d_squares = nullptr;  // [count]

  static int64_t floats(int64_t count, int64_t d) { return (count + kTile - 1) / kTile * kTile * (2 * d + 2); }
};

// What a tile of queries needs, in a thread's block.
struct QueryTile {
  float *vectors, *d_vectors;                  // [vectors][rows][d]
  float *d_out, *anchored;                     // [rows][d]: dO * share / l; the result of the anchors alone
  float *products, *d_products;                // [vectors][rows][kTile]
  float *combined, *weights, *slopes;          // [rows][kTile]
  float factor[kQueries], d_factor[kQueries];  // the kind's factor with the layer's scale, and its gradient
  float along[kQueries];                       // rowsum(dO O) / l
  float top[kQueries], scale[kQueries];
  double of_kind[kQueries];
  int seen[kQueries];
  SoftmaxState state[kQueries];

  QueryTile(std::byte* memory, int vector_count, int64_t d) {
    auto* at = reinterpret_cast<float*>(memory);
    const auto take = [&](int64_t row_floats) {
      float* here = at;
      at += kQueries * row_floats;
      return here;
    };
    vectors = take(vector_count * d), d_vectors = take(vector_count * d);
    d_out = take(d), anchored = take(d);
    products = take(vector_count * kTile), d_products = take(vector_count * kTile);
    combined = take(kTile), weights = take(kTile), slopes = take(kTile);
    assert(reinterpret_cast<std::byte*>(at) <= memory + kScratchBytes);
  }
};

// One kv head of one sequence: all queries of its group, head by head and tile by tile.
class Item {
 public:
  Item(const AttendBackward& args, const BackwardSequence& sequence, int kv_head, std::byte* block,
       std::vector<float>& memory, double* d_sinks)
      : args_(args),
        kind_(*args.spec.kind),
        kernels_(*args.kernels),
        sequence_(sequence),
        kv_head_(kv_head),
        group_(args.heads / args.kv_heads),
        d_(args.head_dim),
        tile_(block, kind_.vectors, d_),
        d_sinks_(d_sinks) {
    const int anchors = args.spec.share > 0 ? args.spec.anchors->count() : 0;
    const auto wanted = static_cast<size_t>(Keys::floats(sequence.tokens, d_) + Keys::floats(anchors, d_));
    if (memory.size() < wanted) memory.resize(wanted);
    const int64_t at = int64_t{kv_head} * d_, stride = int64_t{args.kv_heads} * d_;
    const auto from = [&](auto* x) { return x != nullptr ? x + at : nullptr; };
    context_.k = from(sequence.k), context_.v = from(sequence.v);
    context_.dk = from(sequence.dk), context_.dv = from(sequence.dv);
    context_.stride = stride, context_.count = sequence.tokens;
    context_.scale = args.spec.scale, context_.share = 1 - args.spec.share;
    prepare(context_, memory.data());
    if (anchors == 0) return;
    anchors_.k = from(args.spec.anchors->keys().data()), anchors_.v = from(args.spec.anchors->values().data());
    anchors_.stride = stride, anchors_.count = anchors;
    anchors_.scale = args.spec.anchor_scale, anchors_.share = args.spec.share;
    prepare(anchors_, memory.data() + Keys::floats(sequence.tokens, d_));
  }

  void run() {
    for (int i = 0; i < group_; ++i) {
      head_ = kv_head_ * group_ + i;
      for (int t = 0; t < sequence_.tokens; t += kQueries) run_queries(t, std::min(kQueries, sequence_.tokens - t));
    }
    if (!kind_.key_squares || context_.dk == nullptr) return;
    for (int j = 0; j < context_.count; ++j) {
      const float by = 2 * context_.d_squares[j];
      for (int64_t n = j * context_.stride, end = n + d_; n < end; ++n) context_.dk[n] += by * context_.k[n];
    }
  }

 private:
  // Transposes keys and values, so that products have keys across the lanes.
  void prepare(Keys& keys, float* memory) const {
    const int64_t padded = (keys.count + kTile - 1) / kTile * int64_t{kTile};
    keys.kt = memory, keys.vt = keys.kt + padded * d_;
    keys.squares = keys.vt + padded * d_, keys.d_squares = keys.squares + padded;
    for (int begin = 0; begin < keys.count; begin += kTile) {
      const int count = std::min(kTile, keys.count - begin);
      for (const auto& [from, to] : {std::pair(keys.k, keys.kt), std::pair(keys.v, keys.vt)}) {
        const float* rows = from + begin * keys.stride;
        float* columns = to + int64_t{begin} * d_;
        for (int64_t i = 0; i < d_; ++i)
          for (int j = 0; j < count; ++j) columns[i * kTile + j] = rows[j * keys.stride + i];
      }
    }
    if (!kind_.key_squares) return;
    std::fill_n(keys.d_squares, keys.count, 0.0f);
    for (int j = 0; j < keys.count; ++j) {
      double sum = 0;  // as KvSequence::write() does
      for (int64_t n = j * keys.stride, end = n + d_; n < end; ++n)
        sum += static_cast<double>(keys.k[n]) * static_cast<double>(keys.k[n]);
      keys.squares[j] = static_cast<float>(sum);
    }
  }

  // Of row r of the tile within q, r, out and their gradients.
  int64_t offset(int r) const { return (int64_t{t0_ + r} * args_.heads + head_) * d_; }

  void run_queries(int t0, int rows) {
    t0_ = t0, rows_ = rows;
    for (int r = 0; r < rows_; ++r)
      tile_.of_kind[r] =
          kind_.prepare(sequence_.q + offset(r), third(r), static_cast<int>(d_), tile_.vectors + r * d_, rows_ * d_);
    std::fill_n(tile_.d_vectors, kind_.vectors * rows_ * d_, 0.0f);
    double d_factor[kQueries] = {};
    const auto add_softmax = [&](const Keys& keys, int first, int end) {
      std::fill_n(tile_.d_factor, rows_, 0.0f);
      for (int begin = first / kTile * kTile; begin < end; begin += kTile)
        run_tile(keys, begin, std::min(kTile, end - begin));
      for (int r = 0; r < rows_; ++r) d_factor[r] += static_cast<double>(tile_.d_factor[r] * keys.scale);
    };
    float of_anchors[kQueries] = {};  // rowsum(dO O) of their part of the result
    if (args_.spec.share > 0) {
      attend_to_anchors();
      for (int r = 0; r < rows_; ++r) {
        of_anchors[r] = dot_product(sequence_.d_out + offset(r), tile_.anchored + r * d_, static_cast<int>(d_));
        weigh(anchors_, r, of_anchors[r]);
      }
      add_softmax(anchors_, 0, anchors_.count);
    }
    if (args_.spec.share < 1) {
      set_factors(context_);
      for (int r = 0; r < rows_; ++r) {
        tile_.state[r] = sequence_.states[(int64_t{t0_} + r) * args_.heads + head_];
        tile_.top[r] = tile_.state[r].m;
        const int64_t at = offset(r);
        weigh(context_, r, dot_product(sequence_.d_out + at, sequence_.out + at, static_cast<int>(d_)) - of_anchors[r]);
        if (args_.spec.sinks.empty()) continue;
        const float sink = args_.spec.sinks[static_cast<size_t>(head_)];  // a score whose value is 0
        d_sinks_[head_] -= static_cast<double>(exp_f32(sink - tile_.top[r]) * tile_.along[r]);
      }
      add_softmax(context_, first_key(t0_), args_.causal ? t0_ + rows_ : context_.count);
    }
    for (int r = 0; r < rows_; ++r) {
      const int64_t at = offset(r);
      kind_.prepare_backward(sequence_.q + at, third(r), static_cast<int>(d_), tile_.d_vectors + r * d_, rows_ * d_,
                             d_factor[r], sequence_.dq != nullptr ? sequence_.dq + at : nullptr,
                             sequence_.dr != nullptr ? sequence_.dr + at : nullptr);
    }
  }

  const float* third(int r) const { return sequence_.r != nullptr ? sequence_.r + offset(r) : nullptr; }
  int first_key(int t) const { return args_.window > 0 ? std::max(0, t + 1 - args_.window) : 0; }

  void set_factors(const Keys& keys) {
    for (int r = 0; r < rows_; ++r)
      tile_.factor[r] = static_cast<float>(tile_.of_kind[r] * static_cast<double>(keys.scale));
  }

  // With 1 / l taken into dO, e^(s - m) does for P. `along` is dO times this softmax' part of the result.
  void weigh(const Keys& keys, int r, float along) {
    const float* d_out = sequence_.d_out + offset(r);
    const float inverse = 1 / tile_.state[r].l;
    tile_.along[r] = along * inverse;
    for (int64_t i = 0; i < d_; ++i) tile_.d_out[r * d_ + i] = d_out[i] * keys.share * inverse;
  }

  // The anchors' softmax, and what it adds to the result.
  void attend_to_anchors() {
    set_factors(anchors_);
    std::fill_n(tile_.state, rows_, SoftmaxState());
    for (int begin = 0; begin < anchors_.count; begin += kTile) {
      const int count = std::min(kTile, anchors_.count - begin);
      const float* scores = score(anchors_, begin, count);
      absorb(const_cast<float*>(scores), tile_.anchored);
      kernels_.accumulate_f32({.a = scores,
                               .a_stride = kTile,
                               .b = anchors_.v + begin * anchors_.stride,
                               .b_stride = anchors_.stride,
                               .c = tile_.anchored,
                               .c_stride = d_,
                               .m = rows_,
                               .inner = count,
                               .n = static_cast<int>(d_)});
    }
    for (int r = 0; r < rows_; ++r) {
      tile_.top[r] = tile_.state[r].m;
      const float by = anchors_.share / tile_.state[r].l;
      for (int64_t i = r * d_; i < (r + 1) * d_; ++i) tile_.anchored[i] *= by;
    }
  }

  void absorb(float* scores, float* o) {
    kernels_.softmax_rows({.scores = scores,
                           .seen = tile_.seen,
                           .scale = tile_.scale,
                           .state = tile_.state,
                           .o = o,
                           .rows = rows_,
                           .d = o != nullptr ? static_cast<int>(d_) : 0});
  }

  // Scores of the tile's rows by keys [begin, begin + count), as the walk makes them, yet to be scaled by `scale`.
  // Leaves the products, what the kind made of them where its factor wants a gradient, and the soft-cap's slopes.
  float* score(const Keys& keys, int begin, int count) {
    kernels_.accumulate_f32({.a = tile_.vectors,
                             .a_stride = d_,
                             .b = keys.kt + int64_t{begin} * d_,
                             .b_stride = kTile,
                             .c = tile_.products,
                             .c_stride = kTile,
                             .m = kind_.vectors * rows_,
                             .inner = static_cast<int>(d_),
                             .n = count,
                             .fresh = true});
    const bool context = &keys == &context_;
    const float cap = args_.spec.softcap;
    float* const all = kind_.combine == nullptr ? tile_.products : tile_.weights;
    for (int r = 0; r < rows_; ++r) {
      const int t = t0_ + r;
      const int seen = context && args_.causal ? std::min(count, t + 1 - begin) : count;
      const int hidden = context ? std::min(seen, first_key(t) - begin) : 0;
      float* scores = all + r * kTile;
      if (kind_.combine != nullptr) {
        float* combined = tile_.combined + r * kTile;
        kind_.combine(tile_.products + r * kTile, int64_t{rows_} * kTile, keys.squares + begin, seen, combined);
        std::fill(combined + seen, combined + kTile, 0.0f);
        std::copy_n(combined, kTile, scores);
      }
      float factor = tile_.factor[r];
      if (cap > 0) {
        std::fill(scores + seen, scores + kTile, 0.0f);
        kernels_.softcap(scores, kTile, factor, cap);
        float* slopes = tile_.slopes + r * kTile;
        for (int j = 0; j < kTile; ++j) slopes[j] = 1 - (scores[j] / cap) * (scores[j] / cap);
        factor = 1;
      }
      if (hidden > 0) {
        for (int j = 0; j < seen; ++j)
          scores[j] = j < hidden ? -std::numeric_limits<float>::infinity() : scores[j] * factor;
        factor = 1;
      }
      tile_.seen[r] = seen, tile_.scale[r] = factor;
    }
    return all;
  }

  // Adds to all gradients what comes through the keys [begin, begin + count).
  void run_tile(const Keys& keys, int begin, int count) {
    const int d = static_cast<int>(d_);
    float* weights = score(keys, begin, count);
    for (int r = 0; r < rows_; ++r) tile_.state[r] = {tile_.top[r], 0};
    absorb(weights, nullptr);
    kernels_.accumulate_f32({.a = tile_.d_out,
                             .a_stride = d_,
                             .b = keys.vt + int64_t{begin} * d_,
                             .b_stride = kTile,
                             .c = tile_.d_products,
                             .c_stride = kTile,
                             .m = rows_,
                             .inner = d,
                             .n = count,
                             .fresh = true});
    for (int r = 0; r < rows_; ++r) {
      const int seen = tile_.seen[r];
      float *w = weights + r * kTile, *ds = tile_.d_products + r * kTile;
      if (tile_.state[r].m != tile_.top[r]) {  // keys that were rounded for the walk
        const float by = exp_f32(tile_.state[r].m - tile_.top[r]);
        for (int j = 0; j < seen; ++j) w[j] *= by;
      }
      std::fill(w + seen, w + kTile, 0.0f);
      std::fill(ds + seen, ds + kTile, 0.0f);
      differentiate(keys, begin, r, w, ds);
    }
    const int64_t at = begin * keys.stride;
    if (keys.dv != nullptr)
      kernels_.accumulate_f32({.a = weights,
                               .a_stride = 1,
                               .a_step = kTile,
                               .b = tile_.d_out,
                               .b_stride = d_,
                               .c = keys.dv + at,
                               .c_stride = keys.stride,
                               .m = count,
                               .inner = rows_,
                               .n = d});
    if (keys.dk != nullptr)
      kernels_.accumulate_f32({.a = tile_.d_products,
                               .a_stride = 1,
                               .a_step = kTile,
                               .b = tile_.vectors,
                               .b_stride = d_,
                               .c = keys.dk + at,
                               .c_stride = keys.stride,
                               .m = count,
                               .inner = kind_.vectors * rows_,
                               .n = d});
    kernels_.accumulate_f32({.a = tile_.d_products,
                             .a_stride = kTile,
                             .b = keys.k + at,
                             .b_stride = keys.stride,
                             .c = tile_.d_vectors,
                             .c_stride = d_,
                             .m = kind_.vectors * rows_,
                             .inner = count,
                             .n = d});
  }

  // One row: ds holds dP / l and becomes the gradients of the products. What lies behind the keys that it sees is 0.
  void differentiate(const Keys& keys, int begin, int r, const float* __restrict w, float* __restrict ds) {
    const float along = tile_.along[r], factor = tile_.factor[r];
    for (int j = 0; j < kTile; ++j) ds[j] = w[j] * (ds[j] - along);
    if (args_.spec.softcap > 0) {
      const float* slopes = tile_.slopes + r * kTile;
      for (int j = 0; j < kTile; ++j) ds[j] *= slopes[j];
    }
    if (kind_.factor) tile_.d_factor[r] += dot_product(ds, tile_.combined + r * kTile, kTile);
    for (int j = 0; j < kTile; ++j) ds[j] *= factor;
    if (kind_.combine_backward == nullptr) return;
    const int64_t stride = int64_t{rows_} * kTile;
    for (int v = 1; v < kind_.vectors; ++v) std::fill_n(ds + v * stride, kTile, 0.0f);
    kind_.combine_backward(tile_.products + r * kTile, stride, keys.squares + begin, tile_.seen[r], ds,
                           keys.d_squares + begin);
  }

  const AttendBackward& args_;
  const AttentionKind& kind_;
  const KernelTable& kernels_;
  const BackwardSequence& sequence_;
  const int kv_head_, group_;
  const int64_t d_;
  Keys context_, anchors_;
  QueryTile tile_;
  double* d_sinks_;
  int head_ = 0, t0_ = 0, rows_ = 0;
};

}  // namespace

void attend_backward(const AttendBackward& args, ThreadPool& pool, AttendScratch& blocks, BackwardScratch& scratch) {
  assert(args.head_dim % kLanes == 0);
  scratch.keys.resize(static_cast<size_t>(pool.threads()));
  const size_t sequences = args.sequences.size(), heads = static_cast<size_t>(args.heads);
  scratch.sinks.assign(sequences * heads, 0.0);
  pool.run(static_cast<int64_t>(sequences) * args.kv_heads, [&](int64_t i, int thread) {
    const auto s = static_cast<size_t>(i / args.kv_heads);
    Item(args, args.sequences[s], static_cast<int>(i % args.kv_heads), blocks.thread(thread),
         scratch.keys[static_cast<size_t>(thread)], scratch.sinks.data() + s * heads)
        .run();
  });
  if (args.d_sinks == nullptr) return;
  for (size_t h = 0; h < heads; ++h) {
    double sum = 0;
    for (size_t s = 0; s < sequences; ++s) sum += scratch.sinks[s * heads + h];
    args.d_sinks[h] += static_cast<float>(sum);
  }
}

}  // namespace fieldprint
