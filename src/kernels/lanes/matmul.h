// Quantised weights times quantised activations, for any format and any vector V whose lanes hold 32 bits. Weight rows
// lie across the lanes: lane r is row r, and its 32 bits are four bytes of that row. So a block's integer sums of all
// rows, and the one fma that follows, are one operation each: the order that the contract asks for (kernels/table.h).
//
//   native blocks --read: 4 x 4 transposes--> raw words, lane r from row r --expand--> 8 vectors a block --products-->
//
// Few tokens: each block is multiplied as soon as it is expanded. More: the blocks of two row groups are expanded into
// a panel, which stays in L1 while all tokens pass in tiles.
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

// The rows of one group as bytes; the last row stands in for those that are missing.
template <class V>
struct Rows {
  const uint8_t* row[V::kLanes];
  int count;

  Rows(const Matmul& args, int first) {
    count = args.row_end - first < V::kLanes ? args.row_end - first : V::kLanes;
    for (int r = 0; r < V::kLanes; ++r) {
      const int64_t index = count <= 0 ? args.row_end - 1 : first + (r < count ? r : count - 1);
      row[r] = reinterpret_cast<const uint8_t*>(args.weights + index * args.row_bytes);
    }
  }
};

// What the integer sums of kSuper blocks are multiplied with. Scales of 16 values are integers: two 16-bit words a
// lane.
template <class V, int kSuper>
struct Scales {
  typename V::Float d[kSuper], m[kSuper];
  typename V::Int pair[kSuper], min_pair[kSuper];
};

// `bytes` (a multiple of 16) of every row from `offset` on, as words across the lanes.
template <class V>
inline void read_words(const Rows<V>& rows, int64_t offset, int bytes, typename V::Int* words) {
  for (int i = 0; i < bytes; i += 16) V::transpose(rows.row, offset + i, words + i / 4);
}

// A format F<V> is a struct of
//   Block, kSuper        what a row is made of, and how many blocks of 32 it holds
//   kRaw                 the words that read() leaves for expand()
//   kMost                the largest byte that expand() gives
//   kSigned              expand() gives signed bytes (through V::from_signed)
//   kOffset              what is to be taken off expand()'s bytes
//   kMin                 values have a minimum
//   kGroups              2: every 16 values have an integer scale (and minimum) of their own
//   read(rows, offset, raw, scales), expand<S>(raw, values[8])
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

inline bool is_fine(const uint32_t* fine, int64_t b) { return (fine[b / kFineWord] >> (b % kFineWord) & 1) != 0; }

// Blocks S .. kSuper - 1 of Block `at`, for T tokens.
template <class F, class V, int T, int S>
inline void few_blocks(const Matmul& args, int at, const typename V::Int* raw, const Scales<V, F::kSuper>& scales,
                       typename V::Float* high, typename V::Float* low) {
  typename V::Int values[kVectors];
  F::template expand<S>(raw, values);
  const typename V::Int* const rows[1] = {values};
  const typename V::Int *pair = &scales.pair[S], *min_pair = &scales.min_pair[S];
  const int64_t b = int64_t{at} * F::kSuper + S;
  typename V::Int isum[1][T];
  products<F, V, 1, T>(rows, pair, args.x.high.q + b * 32, args.k, isum);
  for (int t = 0; t < T; ++t) {
    high[t] =
        absorb<F, V>(high[t], isum[0][t], scales.d[S], scales.m[S], *pair, *min_pair, args.x.high.from(t, args.k), b);
  }
  for (int t = 0; t < T; ++t) {
    if (!is_fine(args.x.fine + t * Activations::fine_words(args.k), b)) continue;
    typename V::Int rest[1][1];
    const Quantized x = args.x.low.from(t, args.k);
    products<F, V, 1, 1>(rows, pair, x.q + b * 32, 0, rest);
    low[t] = absorb<F, V>(low[t], rest[0][0], scales.d[S], scales.m[S], *pair, *min_pair, x, b);
  }
  if constexpr (S + 1 < F::kSuper) few_blocks<F, V, T, S + 1>(args, at, raw, scales, high, low);
}

// Rows side by side are too many short streams for the hardware to foresee: the next group's are fetched while these
// are multiplied, a part with every block.
template <class F, class V, int T>
void few_tokens(const Matmul& args) {
  constexpr int kPart = V::kLanes * static_cast<int>(sizeof(typename F::Block));
  for (int first = args.row_begin; first < args.row_end; first += V::kLanes) {
    const Rows<V> rows(args, first);
    const std::byte* next = args.weights + (int64_t{first} + V::kLanes) * args.row_bytes;
    typename V::Float high[T], low[T];
    for (int t = 0; t < T; ++t) high[t] = low[t] = V::zero_float();
    for (int at = 0; at < args.k / 32 / F::kSuper; ++at) {
      for (int i = 0; i < kPart; i += 64) __builtin_prefetch(next + int64_t{at} * kPart + i);
      typename V::Int raw[F::kRaw];
      Scales<V, F::kSuper> scales;
      F::read(rows, at * static_cast<int64_t>(sizeof(typename F::Block)), raw, &scales);
      few_blocks<F, V, T, 0>(args, at, raw, scales, high, low);
    }
    for (int t = 0; t < T; ++t) V::store(args.y + t * args.y_stride + first, V::add(high[t], low[t]), rows.count);
  }
}

// kPanelBlocks blocks of one row group, expanded.
template <class F, class V>
struct alignas(64) Panel {
  typename V::Int values[kPanelBlocks][kVectors];
  typename V::Float d[kPanelBlocks], m[kPanelBlocks];
  typename V::Int pair[kPanelBlocks], min_pair[kPanelBlocks];
};

template <class F, class V, int S>
inline void expand_blocks(const typename V::Int* raw, const Scales<V, F::kSuper>& scales, int b, Panel<F, V>* panel) {
  F::template expand<S>(raw, panel->values[b + S]);
  panel->d[b + S] = scales.d[S];
  if constexpr (F::kMin) panel->m[b + S] = scales.m[S];
  if constexpr (F::kGroups == 2) panel->pair[b + S] = scales.pair[S];
  if constexpr (F::kGroups == 2 && F::kMin) panel->min_pair[b + S] = scales.min_pair[S];
  if constexpr (S + 1 < F::kSuper) expand_blocks<F, V, S + 1>(raw, scales, b, panel);
}

// Blocks [first, first + count) of a row group; the same blocks of the rows `ahead` bytes on are fetched.
template <class F, class V>
void fill_panel(const Rows<V>& rows, int first, int count, int64_t ahead, Panel<F, V>* panel) {
  for (int b = 0; b < count; b += F::kSuper) {
    const int64_t offset = (first + b) / F::kSuper * static_cast<int64_t>(sizeof(typename F::Block));
    typename V::Int raw[F::kRaw];
    Scales<V, F::kSuper> scales;
    F::read(rows, offset, raw, &scales);
    expand_blocks<F, V, 0>(raw, scales, b, panel);
    for (int r = 0; r < V::kLanes; ++r) {
      for (int i = 0; i < static_cast<int>(sizeof(typename F::Block)); i += 64)
        __builtin_prefetch(rows.row[r] + ahead + offset + i);
    }
  }
}

// Where T tokens' sums with a panel go.
struct TileOut {
  float* y;  // of the tile's first row and token
  int64_t y_stride;
  float* low;  // [tokens][kPanelGroups * kLanes]: the low sums so far
  int rows;    // of the panel that exist
  bool first, last;
};

// T tokens from `x` on (at the panel's first block) times a panel of `count` blocks.
template <class F, class V, int T>
inline void panel_tile(const Panel<F, V>* panel, int count, const Activations& x, int k, const TileOut& out) {
  using Float = typename V::Float;
  constexpr int G = kPanelGroups;
  Float acc[G][T];
  for (int g = 0; g < G; ++g) {
    const int rows = out.rows - g * V::kLanes;
    for (int t = 0; t < T; ++t)
      acc[g][t] = out.first ? V::zero_float() : V::load(out.y + t * out.y_stride + g * V::kLanes, rows);
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
    for (int g = 0; g < G; ++g) low[g][0] = out.first ? V::zero_float() : V::load(kept + g * V::kLanes, V::kLanes);
    const Quantized rest = x.low.from(t, k);
    for (uint32_t left = x.fine[t * Activations::fine_words(k)]; left != 0; left &= left - 1)
      one_block.template operator()<1>(rest, __builtin_ctz(left), low);
    for (int g = 0; g < G; ++g) {
      const int rows = out.rows - g * V::kLanes;
      if (!out.last) V::store(kept + g * V::kLanes, low[g][0], V::kLanes);
      V::store(out.y + t * out.y_stride + g * V::kLanes, out.last ? V::add(acc[g][t], low[g][0]) : acc[g][t], rows);
    }
  }
}

template <class F, class V>
void many_tokens(const Matmul& args) {
  constexpr int kRows = kPanelGroups * V::kLanes;
  const int blocks = args.k / 32;
  auto* panel = reinterpret_cast<Panel<F, V>*>(args.scratch);
  auto* low = reinterpret_cast<float*>(panel + kPanelGroups);
  static_assert(kPanelGroups * sizeof(Panel<F, V>) + sizeof(float) * kTokenGroup * kRows <= kScratchBytes);

  for (int group = 0; group < args.tokens; group += kTokenGroup) {
    const int tokens = args.tokens - group < kTokenGroup ? args.tokens - group : kTokenGroup;
    for (int row = args.row_begin; row < args.row_end; row += kRows) {
      for (int b0 = 0; b0 < blocks; b0 += kPanelBlocks) {
        const int count = blocks - b0 < kPanelBlocks ? blocks - b0 : kPanelBlocks;
        for (int g = 0; g < kPanelGroups; ++g)
          fill_panel<F, V>(Rows<V>(args, row + g * V::kLanes), b0, count, kRows * args.row_bytes, panel + g);
        int t = 0;
        const auto tile = [&]<int T>() {
          Activations x = args.x.from(group + t, args.k);
          x = {nullptr,
               {x.high.q + b0 * 32, x.high.d + b0, x.high.parts + b0 * 2, x.high.sum + b0},
               {x.low.q + b0 * 32, x.low.d + b0, x.low.parts + b0 * 2, x.low.sum + b0},
               x.fine + b0 / kFineWord};
          panel_tile<F, V, T>(panel, count, x, args.k,
                              {args.y + (int64_t{group} + t) * args.y_stride + row, args.y_stride, low + t * kRows,
                               args.row_end - row, b0 == 0, b0 + count == blocks});
          t += T;
        };
        while (t + V::kTile <= tokens) tile.template operator()<V::kTile>();
        while (t + 2 <= tokens) tile.template operator()<2>();
        if (t < tokens) tile.template operator()<1>();
      }
    }
  }
}

template <class F, class V>
void matmul_lanes(const Matmul& args) {
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
