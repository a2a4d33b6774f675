// Quantised weights times quantised activations, for any format and any vector V whose lanes hold 32 bits. Weight rows
// lie across the lanes: lane r is row r, and its 32 bits are four bytes of that row. So a block's integer sums of all
// rows, and the one fma that follows, are one operation each: the order that the contract asks for (kernels/table.h).
//
//   native blocks --read: 4 x 4 transposes--> raw words, lane r from row r --expand--> 4 vectors of bytes --products-->
//
// Few tokens: bytes are multiplied as soon as they are expanded. More: the blocks of two row groups are expanded into a
// panel, which stays in L1 while all tokens pass in tiles.
//
// An ISA's folder includes this with its own V (avx2/lanes.h, avx512/lanes.h); V has internal linkage there, and so has
// all that is made from it. Nothing here may call the standard library.
#pragma once

#include "kernels/table.h"

namespace fieldprint {
namespace {

constexpr int kVectors = 8;    // of four bytes a row: a block of 32
constexpr int kFewTokens = 4;  // up to here blocks are not worth storing
constexpr int kPanelBlocks = kFineWord;
constexpr int kPanelGroups = 2;   // row groups of a panel: they share each load of an activation
constexpr int kTokenGroup = 512;  // tokens whose low sums wait in scratch

// The kLanes rows from `first` on; where fewer are left, the group begins `skip` rows before and these lanes are not
// stored. There are kLanes rows in all at least.
template <class V>
struct Rows {
  int first, skip;
  const uint8_t* base;
  int64_t stride;

  Rows(const Matmul& args, int begin)
      : first(begin + V::kLanes <= args.row_end ? begin : args.row_end - V::kLanes),
        skip(begin - first),
        base(reinterpret_cast<const uint8_t*>(args.weights + first * args.row_bytes)),
        stride(args.row_bytes) {}
};

// What the integer sums of kSuper blocks are multiplied with. Scales of 16 values are integers: two 16-bit words a
// lane.
template <class V, int kSuper>
struct Scales {
  typename V::Float d[kSuper], m[kSuper];
  typename V::Int pair[kSuper], min_pair[kSuper];
};

// 16 bytes of every row from `offset` on: words 0 .. 3 across the lanes.
template <class V>
inline void read16(const Rows<V>& rows, int64_t offset, typename V::Int* words) {
  V::transpose(rows.base + offset, rows.stride, words);
}

// A format F<V> is a struct of
//   Block, kSuper          what a row is made of, and how many blocks of 32 it holds
//   kShare                 consecutive blocks that lie in the same bytes: a part of the Block
//   kChunks, kYield        16-byte columns of a part, and the halves of blocks (16 values) that each gives
//   half(chunk, yield)     which half of the part that is, 0 .. 2 * kShare - 1
//   kHead, head(rows, offset, words)   words that all parts need
//   scales(rows, offset, scales)
//   next_part(head)        makes it what the part after wants
//   read<C>(rows, offset, part, raw)   a part's chunk C as kRaw words
//   expand<C, Y>(raw, head, bytes)     the half's 4 vectors
//   kMost                  the largest byte that expand() gives
//   kSigned                expand() gives signed bytes (through V::from_signed)
//   kOffset                what is to be taken off expand()'s bytes
//   kMin                   values have a minimum
//   kGroups                2: every 16 values have an integer scale (and minimum) of their own
template <class F, class V>
constexpr int kBias = F::kSigned ? V::kSignedBias : F::kOffset;

// Products that V adds up before it must look at the scale, or at the 16 bits of its sums.
template <class F, class V>
constexpr int run_length() {
  const int group = F::kGroups == 2 ? 4 : 8;
  const int limit = F::kSigned ? V::kSignedRun : V::run(F::kMost);
  return limit < group ? limit : group;
}

// isum[g][t] = the integer sum of one block of G row groups with the bytes of T tokens at x, x + stride ...
template <class F, class V, int G, int T>
inline void products(const typename V::Int* const* values, const typename V::Int* pair, const int8_t* x, int64_t stride,
                     typename V::Int (*isum)[T]) {
  using Int = typename V::Int;
  constexpr int kRun = run_length<F, V>();
  Int factor[G][2];
  for (int g = 0; g < G; ++g) {
    factor[g][0] = F::kGroups == 2 ? V::first_factor(pair[g]) : V::one_factor();
    factor[g][1] = F::kGroups == 2 ? V::second_factor(pair[g]) : V::one_factor();
    for (int t = 0; t < T; ++t) isum[g][t] = V::zero();
  }
#pragma GCC unroll 8
  for (int i0 = 0; i0 < kVectors; i0 += kRun) {
    Int sum[G][T];
    for (int g = 0; g < G; ++g) {
      for (int t = 0; t < T; ++t) sum[g][t] = V::zero();
    }
#pragma GCC unroll 8
    for (int i = i0; i < i0 + kRun; ++i) {
      for (int t = 0; t < T; ++t) {
        const Int word = V::broadcast(x + t * stride + 4 * i);
        for (int g = 0; g < G; ++g) {
          if constexpr (F::kSigned) sum[g][t] = V::multiply_signed(sum[g][t], values[g][i], word, factor[g][i / 4]);
          else sum[g][t] = V::multiply(sum[g][t], values[g][i], word);
        }
      }
    }
    for (int g = 0; g < G; ++g) {
      for (int t = 0; t < T; ++t) {
        if constexpr (F::kSigned)
          isum[g][t] = V::template add_signed<F::kGroups>(isum[g][t], sum[g][t], factor[g][i0 / 4]);
        else isum[g][t] = V::template add<F::kGroups>(isum[g][t], sum[g][t], factor[g][i0 / 4]);
      }
    }
  }
}

// acc + block b's contribution, as the contract writes it.
template <class F, class V>
inline typename V::Float absorb(typename V::Float acc, typename V::Int isum, typename V::Float d, typename V::Float m,
                                typename V::Int pair, typename V::Int min_pair, const Quantized& x, int64_t b) {
  constexpr int kOff = kBias<F, V>;
  if constexpr (kOff != 0 && F::kGroups == 1)
    isum = V::sub(isum, V::madd(V::broadcast(x.parts + 2 * b), V::words(kOff)));
  if constexpr (kOff != 0 && F::kGroups == 2)
    isum = V::sub(isum, V::template times<kOff>(V::madd(pair, V::broadcast(x.parts + 2 * b))));
  const typename V::Float dx = V::broadcast(x.d + b);
  acc = V::fma(V::mul(d, dx), V::to_float(isum), acc);
  if constexpr (F::kMin && F::kGroups == 1) acc = V::fma(m, V::broadcast(x.sum + b), acc);
  if constexpr (F::kMin && F::kGroups == 2)
    acc = V::fma(m, V::mul(dx, V::to_float(V::madd(min_pair, V::broadcast(x.parts + 2 * b)))), acc);
  return acc;
}

// f.operator()<0>(), <1> ...
template <int kCount, int I = 0, class Function>
inline __attribute__((always_inline)) void repeat(Function&& f) {
  if constexpr (I < kCount) {
    f.template operator()<I>();
    repeat<kCount, I + 1>(f);
  }
}

// isum[t] += the integer sum of half a block with the bytes of T tokens at `at`.
template <class F, class V, int T>
inline __attribute__((always_inline)) void half_products(const typename V::Int* values, typename V::Int factor,
                                                         const Quantized* x, int at, typename V::Int* isum) {
  using Int = typename V::Int;
  constexpr int kRun = run_length<F, V>() < 4 ? run_length<F, V>() : 4;
#pragma GCC unroll 4
  for (int i0 = 0; i0 < 4; i0 += kRun) {
    Int sum[T];
    for (int t = 0; t < T; ++t) sum[t] = V::zero();
#pragma GCC unroll 4
    for (int i = i0; i < i0 + kRun; ++i) {
      for (int t = 0; t < T; ++t) {
        const Int word = V::broadcast(x[t].q + at + 4 * i);
        if constexpr (F::kSigned) sum[t] = V::multiply_signed(sum[t], values[i], word, factor);
        else sum[t] = V::multiply(sum[t], values[i], word);
      }
    }
    for (int t = 0; t < T; ++t) {
      if constexpr (F::kSigned) isum[t] = V::template add_signed<F::kGroups>(isum[t], sum[t], factor);
      else isum[t] = V::template add<F::kGroups>(isum[t], sum[t], factor);
    }
  }
}

// T tokens' activations from one block on: by value, so that no store is taken to change them.
template <int T>
struct FewActivations {
  Quantized high[T], low[T];
  uint32_t fine[T];  // bit s: block s is fine

  FewActivations(const Activations& x, int k, int block) {
    for (int t = 0; t < T; ++t) {
      const Activations row = x.from(t, k);
      high[t] = row.high.skip(block);
      low[t] = row.low.skip(block);
      fine[t] = row.fine[block / kFineWord] >> (block % kFineWord);
    }
  }
};

// One part of the Block at `offset`, for T tokens: blocks [first, first + kShare) of those at x and scales.
template <class F, class V, int T>
inline __attribute__((always_inline)) void few_blocks(const Rows<V>& rows, int64_t offset, int part,
                                                      const uint8_t* next, const typename V::Int* head,
                                                      const Scales<V, F::kSuper>& scales, const FewActivations<T>& x,
                                                      typename V::Float* high, typename V::Float* low) {
  using Int = typename V::Int;
  const int first = part * F::kShare;
  Int isum[F::kShare][T], rest[F::kShare][T];
  for (int s = 0; s < F::kShare; ++s) {
    for (int t = 0; t < T; ++t) isum[s][t] = rest[s][t] = V::zero();
  }
  uint32_t fine[T];
  for (int t = 0; t < T; ++t) fine[t] = x.fine[t] >> first;
  repeat<F::kChunks>([&]<int C>() {
    // A burst of prefetches would wait for itself: each chunk has its share.
    constexpr int64_t kShare = int64_t{V::kLanes} * sizeof(typename F::Block) * F::kShare / F::kSuper / F::kChunks;
#pragma GCC unroll 16
    for (int64_t i = 0; i < kShare; i += 64) __builtin_prefetch(next + (part * F::kChunks + C) * kShare + i);
    Int raw[F::kRaw];
    F::template read<C>(rows, offset, part, raw);
    repeat<F::kYield>([&]<int Y>() {
      constexpr int kHalf = F::half(C, Y), kBlock = kHalf / 2;
      const int at = (first + kBlock) * 32 + kHalf % 2 * 16;
      Int values[4];
      F::template expand<C, Y>(raw, head, values);
      const Int pair = scales.pair[first + kBlock];
      const Int factor = F::kGroups == 1  ? V::one_factor()
                         : kHalf % 2 == 0 ? V::first_factor(pair)
                                          : V::second_factor(pair);
      half_products<F, V, T>(values, factor, x.high, at, isum[kBlock]);
      for (int t = 0; t < T; ++t) {
        if ((fine[t] >> kBlock & 1) != 0) half_products<F, V, 1>(values, factor, x.low + t, at, &rest[kBlock][t]);
      }
    });
  });
  for (int s = 0; s < F::kShare; ++s) {
    const int b = first + s;
    for (int t = 0; t < T; ++t) {
      high[t] =
          absorb<F, V>(high[t], isum[s][t], scales.d[b], scales.m[b], scales.pair[b], scales.min_pair[b], x.high[t], b);
      if ((fine[t] >> s & 1) != 0)
        low[t] =
            absorb<F, V>(low[t], rest[s][t], scales.d[b], scales.m[b], scales.pair[b], scales.min_pair[b], x.low[t], b);
    }
  }
}

// Rows side by side are too many short streams for the hardware to foresee: the next group's are fetched while these
// are multiplied, the first group's at once.
template <class F, class V, int T>
void few_tokens(const Matmul& args) {
  constexpr int64_t kBytes = sizeof(typename F::Block);
  const int count = args.k / 32 / F::kSuper;
  const Rows<V> first(args, args.row_begin);
  for (int64_t i = 0; i < V::kLanes * first.stride; i += 64) __builtin_prefetch(first.base + i);
  for (int begin = args.row_begin; begin < args.row_end; begin += V::kLanes) {
    const Rows<V> rows(args, begin);
    // Beyond the last group the rows are another thread's: what is here already is asked for again.
    const uint8_t* next = rows.base + (begin + V::kLanes < args.row_end ? V::kLanes * rows.stride : 0);
    typename V::Float high[T], low[T];
    for (int t = 0; t < T; ++t) high[t] = low[t] = V::zero_float();
    for (int at = 0; at < count; ++at) {
      typename V::Int head[F::kHead + 1];
      Scales<V, F::kSuper> scales;
      F::head(rows, at * kBytes, head);
      F::scales(rows, at * kBytes, &scales);
      const FewActivations<T> x(args.x, args.k, at * F::kSuper);
#pragma GCC unroll 1
      for (int part = 0; part < F::kSuper / F::kShare; ++part) {
        few_blocks<F, V, T>(rows, at * kBytes, part, next + at * kBytes * V::kLanes, head, scales, x, high, low);
        F::next_part(head);
      }
    }
    for (int t = 0; t < T; ++t) V::store(args.y + t * args.y_stride + rows.first, V::add(high[t], low[t]), rows.skip);
  }
}

// kPanelBlocks blocks of one row group, expanded.
template <class F, class V>
struct alignas(64) Panel {
  typename V::Int values[kPanelBlocks][kVectors];
  typename V::Float d[kPanelBlocks], m[kPanelBlocks];
  typename V::Int pair[kPanelBlocks], min_pair[kPanelBlocks];
};

// Blocks [first, first + count) of a row group; the same blocks of the rows `ahead` bytes on are fetched.
template <class F, class V>
void fill_panel(const Rows<V>& rows, int first, int count, int64_t ahead, Panel<F, V>* panel) {
  constexpr int64_t kBytes = sizeof(typename F::Block);
  for (int b = 0; b < count; b += F::kSuper) {
    const int64_t offset = (first + b) / F::kSuper * kBytes;
    typename V::Int head[F::kHead + 1];
    Scales<V, F::kSuper> scales;
    F::head(rows, offset, head);
    F::scales(rows, offset, &scales);
    for (int s = 0; s < F::kSuper; ++s) {
      panel->d[b + s] = scales.d[s];
      if constexpr (F::kMin) panel->m[b + s] = scales.m[s];
      if constexpr (F::kGroups == 2) panel->pair[b + s] = scales.pair[s];
      if constexpr (F::kGroups == 2 && F::kMin) panel->min_pair[b + s] = scales.min_pair[s];
    }
    for (int part = 0; part < F::kSuper / F::kShare; ++part) {
      repeat<F::kChunks>([&]<int C>() {
        typename V::Int raw[F::kRaw];
        F::template read<C>(rows, offset, part, raw);
        repeat<F::kYield>([&]<int Y>() {
          constexpr int kHalf = F::half(C, Y);
          F::template expand<C, Y>(raw, head, panel->values[b + part * F::kShare + kHalf / 2] + kHalf % 2 * 4);
        });
      });
      F::next_part(head);
    }
    for (int r = 0; r < V::kLanes; ++r) {
      for (int64_t i = 0; i < kBytes; i += 64) __builtin_prefetch(rows.base + r * rows.stride + ahead + offset + i);
    }
  }
}

// Where T tokens' sums with a panel go.
struct TileOut {
  float* y[kPanelGroups];  // of each group's first row and the tile's first token
  int skip[kPanelGroups];  // lanes that are not stored
  int64_t y_stride;
  float* low;  // [tokens][kPanelGroups * kLanes]: the low sums so far
  bool first, last;
};

// T tokens from `x` on (at the panel's first block) times a panel of `count` blocks.
template <class F, class V, int T>
inline void panel_tile(const Panel<F, V>* panel, int count, const Activations& x, int k, const TileOut& out) {
  using Float = typename V::Float;
  constexpr int G = kPanelGroups;
  Float acc[G][T];
  for (int g = 0; g < G; ++g) {
    for (int t = 0; t < T; ++t)
      acc[g][t] = out.first ? V::zero_float() : V::load(out.y[g] + t * out.y_stride, out.skip[g]);
  }
  const auto one_block = [&]<int N>(const Quantized& q, int b, Float(*sums)[N]) {
    const typename V::Int* const values[G] = {panel[0].values[b], panel[1].values[b]};
    const typename V::Int pair[G] = {panel[0].pair[b], panel[1].pair[b]};
    typename V::Int isum[G][N];
    products<F, V, G, N>(values, pair, q.q + b * 32, k, isum);
    for (int t = 0; t < N; ++t) {
      const Quantized row = q.from(t, k);
      for (int g = 0; g < G; ++g) {
        sums[g][t] = absorb<F, V>(sums[g][t], isum[g][t], panel[g].d[b], panel[g].m[b], panel[g].pair[b],
                                  panel[g].min_pair[b], row, b);
      }
    }
  };
  for (int b = 0; b < count; ++b) one_block.template operator()<T>(x.high, b, acc);
  for (int t = 0; t < T; ++t) {
    float* kept = out.low + t * G * V::kLanes;
    Float low[G][1];
    for (int g = 0; g < G; ++g) low[g][0] = out.first ? V::zero_float() : V::load(kept + g * V::kLanes, 0);
    const Quantized rest = x.low.from(t, k);
    for (uint32_t left = x.fine[t * Activations::fine_words(k)]; left != 0; left &= left - 1)
      one_block.template operator()<1>(rest, __builtin_ctz(left), low);
    for (int g = 0; g < G; ++g) {
      if (!out.last) V::store(kept + g * V::kLanes, low[g][0], 0);
      V::store(out.y[g] + t * out.y_stride, out.last ? V::add(acc[g][t], low[g][0]) : acc[g][t], out.skip[g]);
    }
  }
}

template <class F, class V>
void many_tokens(const Matmul& args) {
  constexpr int kRows = kPanelGroups * V::kLanes;
  const int blocks = args.k / 32;
  auto* panel = reinterpret_cast<Panel<F, V>*>(args.scratch);
  auto* low = reinterpret_cast<float*>(panel + kPanelGroups);
  static_assert(kPanelGroups == 2 &&
                kPanelGroups * sizeof(Panel<F, V>) + sizeof(float) * kTokenGroup * kRows <= kScratchBytes);

  for (int group = 0; group < args.tokens; group += kTokenGroup) {
    const int tokens = args.tokens - group < kTokenGroup ? args.tokens - group : kTokenGroup;
    for (int row = args.row_begin; row < args.row_end; row += kRows) {
      const Rows<V> rows[kPanelGroups] = {{args, row}, {args, row + V::kLanes}};
      for (int b0 = 0; b0 < blocks; b0 += kPanelBlocks) {
        const int count = blocks - b0 < kPanelBlocks ? blocks - b0 : kPanelBlocks;
        for (int g = 0; g < kPanelGroups; ++g)
          fill_panel<F, V>(rows[g], b0, count, row + kRows < args.row_end ? kRows * args.row_bytes : 0, panel + g);
        int t = 0;
        const auto tile = [&]<int T>() {
          Activations x = args.x.from(group + t, args.k);
          x = {nullptr, x.high.skip(b0), x.low.skip(b0), x.fine + b0 / kFineWord};
          float* y = args.y + (int64_t{group} + t) * args.y_stride;
          panel_tile<F, V, T>(panel, count, x, args.k,
                              {{y + rows[0].first, y + rows[1].first},
                               {rows[0].skip, rows[1].skip},
                               args.y_stride,
                               low + t * kRows,
                               b0 == 0,
                               b0 + count == blocks});
          t += T;
        };
        while (t + V::kTile <= tokens) tile.template operator()<V::kTile>();
        while (t + 2 <= tokens) tile.template operator()<2>();
        if (t < tokens) tile.template operator()<1>();
      }
    }
  }
}

// `plain` multiplies where the matrix has fewer rows than V has lanes.
template <class F, class V>
void matmul_lanes(const Matmul& args, MatmulKernel plain) {
  if (args.row_end < V::kLanes) return plain(args);
  switch (args.tokens) {
    case 1:
      return few_tokens<F, V, 1>(args);
    case 2:
      return few_tokens<F, V, 2>(args);
    case 3:
      return few_tokens<F, V, 3>(args);
    case kFewTokens:
      return few_tokens<F, V, kFewTokens>(args);
    default:
      return many_tokens<F, V>(args);
  }
}

}  // namespace
}  // namespace fieldprint
