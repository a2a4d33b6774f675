// Quantised weights times quantised activations, for any format and any vector V whose lanes hold 32 bits. Weight rows
// lie across the lanes: lane r is row r, and its 32 bits are four bytes of that row. So a block's integer sums of all
// rows, and the one fma that follows, are one operation each: the order that the contract asks for (kernels/table.h).
//
//   native blocks --read: 4 x 4 transposes--> raw words, lane r from row r --word--> a vector of bytes --products-->
//
// Few tokens: bytes are multiplied as soon as they are there. More: the bytes of two row groups are kept in a panel,
// which stays in L1 while all tokens pass in tiles, and after them the low parts of the fine blocks.
//
// An ISA's folder includes this with its own V (avx2/lanes.h, avx512/lanes.h); V has internal linkage there, and so has
// all that is made from it. Nothing here may call the standard library.
#pragma once

#include "kernels/table.h"

namespace fieldprint {
namespace {

constexpr int kVectors = 8;  // of four bytes a row: a block of 32
constexpr int kPanelBlocks = kFineWord,
              kNarrowPanel = kPanelBlocks / 2;  // narrow: leaves room in L1 for what comes next
constexpr int kNarrowTokens = 8;                // up to here memory matters more
constexpr int kPanelGroups = 2;                 // row groups of a panel: they share each load of an activation
constexpr int64_t kFurther = 13 << 10;          // bytes from what the first cache is asked for to what the second is
constexpr int kFineTile = 4;                    // tokens whose low parts of one block pass together
constexpr int kSharedFine = 32;                 // from so many tokens on they often have a fine block in common

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

// The rows from `row` on, or what comes after the last; where that is not known, `rows`: they are here already.
template <class V>
inline const uint8_t* rows_after(const Matmul& args, const Rows<V>& rows, int row) {
  if (row < args.row_end) return reinterpret_cast<const uint8_t*>(args.weights + row * args.row_bytes);
  return args.next != nullptr ? reinterpret_cast<const uint8_t*>(args.next) : rows.base;
}

// Where what the integer sums of consecutive blocks are multiplied with goes. Scales of 16 values are integers: two
// 16-bit words a lane.
template <class V>
struct Scales {
  typename V::Float *d, *m;
  typename V::Int *pair, *min_pair;
};
template <class V, int kBlocks>
struct OwnScales {
  typename V::Float d[kBlocks], m[kBlocks];
  typename V::Int pair[kBlocks], min_pair[kBlocks];

  Scales<V> at(int b) { return {d + b, m + b, pair + b, min_pair + b}; }
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
//   read<C>(rows, offset, part, raw)   a part's chunk C as kRaw words; some may be left from the chunk before
//   word<C, Y, I>(raw, head)           the half's values 4 * I .. 4 * I + 3
//   kMost                  the largest byte that word() gives
//   kSigned                word() gives signed bytes (through V::from_signed)
//   kOffset                what word()'s bytes have too much
//   kMin                   values have a minimum
//   kGroups                2: every 16 values have an integer scale (and minimum) of their own
template <class F, class V>
constexpr int kBias = F::kSigned ? V::kSignedBias : F::kOffset;

// Products that V adds up before it must look at the scale, or at the 16 bits of its sums: sums of what the bytes are
// without their offset, since they begin so.
template <class F>
constexpr int kLargest = F::kOffset > F::kMost - F::kOffset ? F::kOffset : F::kMost - F::kOffset;
template <class F, class V>
constexpr int run_length() {
  constexpr int kGroup = F::kGroups == 2 ? 4 : 8;
  constexpr int kLimit = F::kSigned ? V::kSignedRun : V::run(kLargest<F>);
  static_assert(F::kOffset == 0 || kLimit >= 4);
  return kLimit < kGroup ? kLimit : kGroup;
}

// Two sums of 16 that fit in 15 bits can be multiplied with their scales at once: the second half's in the upper 16
// bits, the first's, above kAbove so that it borrows nothing, in the lower.
constexpr int kAboveBits = 14, kAbove = 1 << kAboveBits;
template <class F, class V>
constexpr bool kPacked = V::kPacks&& F::kGroups == 2 && !F::kSigned && 16 * 127 * kLargest<F> < kAbove;

// What the sum of a half's four words begins with.
template <class F, class V>
inline typename V::Int begin_half(const int16_t* pairs) {
  return V::template without<kBias<F, V>>(V::broadcast(pairs));
}

// What the runs of n blocks begin with, made once for all rows of a panel: two words a block, as `pairs` has them, of
// which the first alone counts where a block is one run.
template <class F, class V>
void begin_runs(const int16_t* pairs, int64_t n, int16_t* starts) {
  constexpr bool kWhole = run_length<F, V>() == kVectors;
  for (int64_t b = 0; b < n; ++b, pairs += 4, starts += 4) {
    const uint32_t first = V::template start<kBias<F, V>>(pairs[0] + (kWhole ? pairs[2] : 0),
                                                          pairs[1] + (kWhole ? pairs[3] : 0)),
                   second = V::template start<kBias<F, V>>(pairs[2], pairs[3]);
    __builtin_memcpy(starts, &first, sizeof first);
    __builtin_memcpy(starts + 2, &second, sizeof second);
  }
}

// What the sums of a block's first or second half are multiplied with.
template <class F, class V>
inline __attribute__((always_inline)) typename V::Int half_factor(typename V::Int pair, bool second) {
  if constexpr (F::kGroups == 1) return V::one_factor();
  else return second ? V::second_factor(pair) : V::first_factor(pair);
}

// sum += four values of every row times the four bytes of `x`.
template <class F, class V>
inline void multiply_word(typename V::Int* sum, typename V::Int values, typename V::Int x, typename V::Int factor) {
  if constexpr (F::kSigned) *sum = V::multiply_signed(*sum, values, x, factor);
  else *sum = V::multiply(*sum, values, x);
}
// isum += a run's sum.
template <class F, class V>
inline void add_run(typename V::Int* isum, typename V::Int sum, typename V::Int factor) {
  if constexpr (F::kSigned) *isum = V::template add_signed<F::kGroups>(*isum, sum, factor);
  else *isum = V::template add<F::kGroups>(*isum, sum, factor);
}

// sum[g][t] += words [first, first + kCount) of a block of G row groups with those at x of T tokens, k numbers each.
template <class F, class V, int G, int T, int kCount>
inline __attribute__((always_inline)) void multiply_words(const typename V::Int* const* values, int first,
                                                          const typename V::Int (*factor)[2], const Quantized& x,
                                                          int64_t k, typename V::Int (*sum)[T]) {
#pragma GCC unroll 8
  for (int i = first; i < first + kCount; ++i) {
    for (int t = 0; t < T; ++t) {
      const typename V::Int word = V::broadcast(x.q + t * k + 4 * i);
      for (int g = 0; g < G; ++g) multiply_word<F, V>(&sum[g][t], values[g][i], word, factor[g][i / 4]);
    }
  }
}

// isum[g][t] = the integer sum of one block of G row groups with that at x of T tokens, k numbers each; x.pairs are
// begin_runs().
template <class F, class V, int G, int T>
inline void products(const typename V::Int* const* values, const typename V::Int* pair, const Quantized& x, int64_t k,
                     typename V::Int (*isum)[T]) {
  using Int = typename V::Int;
  constexpr int kRun = run_length<F, V>();
  const auto start = [&](int t, int i0) __attribute__((always_inline)) {
    return kBias<F, V> == 0 ? V::zero() : V::broadcast(x.pairs + t * (k / 8) + i0 / 2);
  };
  Int factor[G][2];
  for (int g = 0; g < G; ++g) {
    factor[g][0] = half_factor<F, V>(pair[g], false);
    factor[g][1] = half_factor<F, V>(pair[g], true);
  }
  if constexpr (kPacked<F, V>) {
    for (int t = 0; t < T; ++t) {
      for (int g = 0; g < G; ++g) isum[g][t] = start(t, 4);
    }
    multiply_words<F, V, G, T, 4>(values, 4, factor, x, k, isum);
    for (int t = 0; t < T; ++t) {
      const Int begin = V::add_32(V::dwords(kAbove), start(t, 0));
      for (int g = 0; g < G; ++g) isum[g][t] = V::add_32(V::template shift_left_32<16>(isum[g][t]), begin);
    }
    multiply_words<F, V, G, T, 4>(values, 0, factor, x, k, isum);
    for (int g = 0; g < G; ++g) {
      const Int above = V::sub(V::zero(), V::template shift_left_32<kAboveBits>(factor[g][0]));
      for (int t = 0; t < T; ++t) isum[g][t] = V::madd_add(above, isum[g][t], pair[g]);
    }
    return;
  }
  for (int g = 0; g < G; ++g) {
    for (int t = 0; t < T; ++t) isum[g][t] = V::zero();
  }
#pragma GCC unroll 8
  for (int i0 = 0; i0 < kVectors; i0 += kRun) {
    Int sum[G][T];
    for (int t = 0; t < T; ++t) {
      for (int g = 0; g < G; ++g) sum[g][t] = start(t, i0);
    }
    multiply_words<F, V, G, T, kRun>(values, i0, factor, x, k, sum);
    for (int g = 0; g < G; ++g) {
      for (int t = 0; t < T; ++t) add_run<F, V>(&isum[g][t], sum[g][t], factor[g][i0 / 4]);
    }
  }
}

// acc + the contribution of the block at x, as the contract writes it.
template <class F, class V>
inline typename V::Float absorb(typename V::Float acc, typename V::Int isum, typename V::Float d, typename V::Float m,
                                typename V::Int min_pair, const Quantized& x) {
  const typename V::Float dx = V::broadcast(x.d);
  if constexpr (F::kMin && F::kGroups == 2) {
    const typename V::Int least = V::madd(min_pair, V::broadcast(x.parts));
    return V::fma(dx, V::fma(m, V::to_float(least), V::mul(d, V::to_float(isum))), acc);
  }
  acc = V::fma(V::mul(d, dx), V::to_float(isum), acc);
  if constexpr (F::kMin) acc = V::fma(m, V::broadcast(x.sum), acc);
  return acc;
}

// The lines of a part that half kSlot of kSlots has fetched: a prefetch is lost where too many are under way, so every
// half asks for a few. Lines further on come into the second cache, which keeps more of them under way.
template <int kLines, int kSlot, int kSlots, class Line>
inline __attribute__((always_inline)) void fetch(Line&& line) {
#pragma GCC unroll 16
  for (int i = kLines * kSlot / kSlots; i < kLines * (kSlot + 1) / kSlots; ++i) {
    __builtin_prefetch(line(i));
    __builtin_prefetch(line(i) + kFurther, 0, 2);
  }
}

// f.operator()<0>(), <1> ...
template <int kCount, int I = 0, class Function>
inline __attribute__((always_inline)) void repeat(Function&& f) {
  if constexpr (I < kCount) {
    f.template operator()<I>();
    repeat<kCount, I + 1>(f);
  }
}

// isum += the integer sum of a half's four words with 16 numbers x; `pairs` are theirs. What the run begins with comes
// last: GCC would keep it waiting in a register.
template <class F, class V>
inline __attribute__((always_inline)) void half_products(const typename V::Int* values, typename V::Int factor,
                                                         const int8_t* x, const int16_t* pairs, typename V::Int* isum) {
  using Int = typename V::Int;
  constexpr int kRun = run_length<F, V>() < 4 ? run_length<F, V>() : 4;
  Int sum = V::zero();
  repeat<4>([&]<int I>() __attribute__((always_inline)) {
    multiply_word<F, V>(&sum, values[I], V::broadcast(x + 4 * I), factor);
    if constexpr ((I + 1) % kRun == 0) {
      if constexpr (kBias<F, V> != 0) sum = V::add_sums(sum, begin_half<F, V>(pairs));
      add_run<F, V>(isum, sum, factor);
      sum = V::zero();
    }
  });
}

// The low parts of few tokens. They are rare, so that their sums lie in memory and the others' have the registers: the
// words of a part that has some are kept, and multiplied after all else.
template <class F, class V, int T>
struct FewLow {
  Quantized x[T];
  uint32_t fine[T], any;  // bit s: block s is fine, of some token
  typename V::Int words[F::kShare][kVectors];
  typename V::Float sums[T];

  inline __attribute__((always_inline)) bool in_part(int first) const {
    return (any >> first & (~0u >> (32 - F::kShare))) != 0;
  }
  // Blocks [first, first + kShare), whose words are there.
  inline __attribute__((always_inline)) void add_part(const OwnScales<V, F::kSuper>& scales, int first) {
    for (int s = 0; s < F::kShare; ++s) {
      const int b = first + s;
      const auto factor = [&](bool second) { return half_factor<F, V>(scales.pair[b], second); };
      for (int t = 0; t < T; ++t) {
        if ((fine[t] >> b & 1) == 0) continue;
        const Quantized at = x[t].skip(b);
        typename V::Int isum = V::zero();
        half_products<F, V>(words[s], factor(false), at.q, at.pairs, &isum);
        half_products<F, V>(words[s] + 4, factor(true), at.q + 16, at.pairs + 2, &isum);
        sums[t] = absorb<F, V>(sums[t], isum, scales.d[b], scales.m[b], scales.min_pair[b], at);
      }
    }
  }
};

// One part of the Block at `offset`: blocks [first, first + kShare) of those of T tokens at `high` and `scales`, added
// to sums, and those of `low` to its own.
template <class F, class V, int T>
inline __attribute__((always_inline)) void few_part(const Rows<V>& rows, int64_t offset, int part, const uint8_t* next,
                                                    const typename V::Int* head, const OwnScales<V, F::kSuper>& scales,
                                                    const Quantized* high, FewLow<F, V, T>& low,
                                                    typename V::Float* sums) {
  using Int = typename V::Int;
  constexpr int64_t kPartBytes = int64_t{V::kLanes} * sizeof(typename F::Block) * F::kShare / F::kSuper;  // of all rows
  const int first = part * F::kShare;
  const bool fine = low.in_part(first);
  Int isum[F::kShare][T];
  for (int t = 0; t < T; ++t) {
    for (int s = 0; s < F::kShare; ++s) isum[s][t] = V::zero();
  }
  Int raw[F::kRaw];
  repeat<F::kChunks>([&]<int C>() __attribute__((always_inline)) {
    F::template read<C>(rows, offset, part, raw);
    repeat<F::kYield>([&]<int Y>() __attribute__((always_inline)) {
      fetch<(kPartBytes + 63) / 64, C * F::kYield + Y, F::kChunks * F::kYield>(
          [&](int i) { return next + part * kPartBytes + 64 * i; });
      constexpr int kHalf = F::half(C, Y), kBlock = kHalf / 2;
      const Int factor = half_factor<F, V>(scales.pair[first + kBlock], kHalf % 2 == 1);
      Int values[4];
      repeat<4>([&]<int I>() __attribute__((always_inline)) { values[I] = F::template word<C, Y, I>(raw, head); });
      const int at = 2 * first + kHalf;  // of halves
      repeat<T>([&]<int I>() __attribute__((always_inline)) {
        half_products<F, V>(values, factor, high[I].q + 16 * at, high[I].pairs + 2 * at, &isum[kBlock][I]);
      });
      if (fine)
        repeat<4>([&]<int I>() __attribute__((always_inline)) { low.words[kBlock][kHalf % 2 * 4 + I] = values[I]; });
    });
  });
  for (int s = 0; s < F::kShare; ++s) {
    const int b = first + s;
    for (int t = 0; t < T; ++t)
      sums[t] = absorb<F, V>(sums[t], isum[s][t], scales.d[b], scales.m[b], scales.min_pair[b], high[t].skip(b));
  }
  if (fine) low.add_part(scales, first);
}

// Rows side by side are too many short streams for the hardware to foresee: the next group's are fetched while these
// are multiplied, the first group's at once.
template <class F, class V, int T>
void few_tokens_of(const Matmul& args) {
  constexpr int64_t kBytes = sizeof(typename F::Block);
  const int count = args.k / 32 / F::kSuper;
  const Rows<V> first(args, args.row_begin);
  for (int64_t i = 0; i < V::kLanes * first.stride; i += 64) __builtin_prefetch(first.base + i);
  for (int begin = args.row_begin; begin < args.row_end; begin += V::kLanes) {
    const Rows<V> rows(args, begin);
    const uint8_t* next = rows_after<V>(args, rows, begin + V::kLanes);
    typename V::Float sums[T];
    FewLow<F, V, T> low;
    for (int t = 0; t < T; ++t) sums[t] = low.sums[t] = V::zero_float();
    for (int at = 0; at < count; ++at) {
      const int block = at * F::kSuper;
      Quantized high[T];  // copies: no store is taken to change them
      low.any = 0;
      for (int t = 0; t < T; ++t) {
        const Activations x = args.x.from(t, args.k);
        high[t] = x.high.skip(block), low.x[t] = x.low.skip(block);
        low.any |= low.fine[t] = x.fine[block / kFineWord] >> (block % kFineWord);
      }
      typename V::Int head[F::kHead + 1];
      OwnScales<V, F::kSuper> scales;
      F::head(rows, at * kBytes, head);
      F::scales(rows, at * kBytes, scales.at(0));
#pragma GCC unroll 1
      for (int part = 0; part < F::kSuper / F::kShare; ++part) {
        few_part<F, V, T>(rows, at * kBytes, part, next + at * kBytes * V::kLanes, head, scales, high, low, sums);
        F::next_part(head);
      }
    }
    for (int t = 0; t < T; ++t)
      V::store(args.y + t * args.y_stride + rows.first, V::add(sums[t], low.sums[t]), rows.skip);
  }
}

// kPanelBlocks blocks of one row group, expanded.
template <class V>
struct alignas(64) Panel {
  typename V::Int values[kPanelBlocks][kVectors];
  OwnScales<V, kPanelBlocks> scales;
};

// Asks for a row group's blocks [first, first + count), a few lines a step, `count` steps in all; and for those of the
// group after it into the second cache.
template <class F, class V>
struct RowsAhead {
  const uint8_t* row;
  int64_t stride;
  int at = 0, count;

  void step() {
    constexpr int64_t kBytes = sizeof(typename F::Block);
#pragma GCC unroll 8
    for (int64_t i = 0; i < V::kLanes * kBytes / F::kSuper; i += 64) {
      const uint8_t* line = row + at * kBytes / F::kSuper + i;
      __builtin_prefetch(line);
      __builtin_prefetch(line + V::kLanes * stride, 0, 2);
    }
    at += V::kLanes;
    if (at >= count) at -= count, row += stride;
  }
};

// Blocks [first, first + count) of a row group.
template <class F, class V>
void fill_panel(const Rows<V>& rows, int first, int count, RowsAhead<F, V>* ahead, Panel<V>* panel) {
  constexpr int64_t kBytes = sizeof(typename F::Block);
  for (int b = 0; b < count; b += F::kSuper) {
    const int64_t offset = (first + b) / F::kSuper * kBytes;
    typename V::Int head[F::kHead + 1], raw[F::kRaw];
    F::head(rows, offset, head);
    F::scales(rows, offset, panel->scales.at(b));
    for (int part = 0; part < F::kSuper / F::kShare; ++part) {
      const int block = b + part * F::kShare;
      repeat<F::kChunks>([&]<int C>() {
        F::template read<C>(rows, offset, part, raw);
        repeat<F::kYield>([&]<int Y>() {
          if ((2 * block + C * F::kYield + Y) % 4 == 0) ahead->step();
          constexpr int kHalf = F::half(C, Y);
          typename V::Int* const to = panel->values[block + kHalf / 2] + kHalf % 2 * 4;
          repeat<4>([&]<int I>() { to[I] = F::template word<C, Y, I>(raw, head); });
        });
      });
      F::next_part(head);
    }
  }
}

// acc[g][t] + block b of a panel's row groups times that at x of T tokens, k numbers each.
template <class F, class V, int T>
inline __attribute__((always_inline)) void panel_block(const Panel<V>* panel, int b, const Quantized& x, int k,
                                                       typename V::Float (*acc)[T]) {
  constexpr int G = kPanelGroups;
  const typename V::Int* const values[G] = {panel[0].values[b], panel[1].values[b]};
  const typename V::Int pair[G] = {panel[0].scales.pair[b], panel[1].scales.pair[b]};
  typename V::Int isum[G][T];
  products<F, V, G, T>(values, pair, x, k, isum);
  for (int t = 0; t < T; ++t) {
    for (int g = 0; g < G; ++g) {
      const auto& s = panel[g].scales;
      acc[g][t] = absorb<F, V>(acc[g][t], isum[g][t], s.d[b], s.m[b], s.min_pair[b], x.from(t, k));
    }
  }
}

// T tokens, the first at x and its sums in y, times a panel of `count` blocks. `fresh`: y holds nothing yet.
template <class F, class V, int T>
inline void panel_tile(const Panel<V>* panel, int count, const Quantized& x, int k, const Rows<V>* rows, bool fresh,
                       float* y, int64_t y_stride, RowsAhead<F, V>* ahead) {
  constexpr int G = kPanelGroups;
  typename V::Float acc[G][T];
  for (int g = 0; g < G; ++g) {
    for (int t = 0; t < T; ++t)
      acc[g][t] = fresh ? V::zero_float() : V::load(y + rows[g].first + t * y_stride, rows[g].skip);
  }
  for (int b = 0; b < count; ++b) {
    if (ahead != nullptr) ahead->step();
    panel_block<F, V, T>(panel, b, x.skip(b), k, acc);
  }
  for (int g = 0; g < G; ++g) {
    for (int t = 0; t < T; ++t) V::store(y + rows[g].first + t * y_stride, acc[g][t], rows[g].skip);
  }
}

// The low parts of a token group's fine blocks, block after block, `width` tokens at a time: copies, so that they are
// one stream beside every panel. Where fewer tokens are left the last one is there again.
template <class F, class V>
struct FineTiles {
  struct Tile {
    int32_t block;
    uint8_t token[kFineTile];
  };
  static constexpr int64_t kBytes = sizeof(Tile) + sizeof(int8_t) * 32 + sizeof(float) * 2 + sizeof(int16_t) * 6;
  int width;
  Tile* tiles;    // [tiles + 1]; the last is of no block
  Quantized low;  // [tiles, width] blocks

  // `memory` holds kBytes for each block of each token, these rounded up to whole tiles, and 64 more.
  FineTiles(const Activations& x, int k, int tokens, std::byte* memory)
      : width(tokens < kSharedFine ? 1 : kFineTile), tiles(reinterpret_cast<Tile*>(memory)) {
    const int blocks = k / 32, words = Activations::fine_words(k);
    const int64_t most = int64_t{blocks} * ((tokens + width - 1) / width * width);
    low.d = reinterpret_cast<float*>(tiles + most + 1);
    low.sum = low.d + most;
    low.parts = reinterpret_cast<int16_t*>(low.sum + most);
    low.pairs = low.parts + 2 * most;
    low.q = reinterpret_cast<int8_t*>(low.pairs + 4 * most);
    Tile* tile = tiles;
    int64_t at = 0;
    for (int b = 0; b < blocks; ++b) {
      int filled = 0;
      const auto add = [&](int token) {
        tile->block = b;
        tile->token[filled] = static_cast<uint8_t>(token);
        copy(x.low.from(token, k).skip(b), low.skip(at++));
        if (++filled == width) ++tile, filled = 0;
      };
      for (int t = 0; t < tokens; ++t) {
        if ((x.fine[t * words + b / kFineWord] >> (b % kFineWord) & 1) != 0) add(t);
      }
      while (filled > 0) add(tile->token[filled - 1]);
    }
    tile->block = blocks;
  }

 private:
  static void copy(const Quantized& from, const Quantized& to) {
    __builtin_memcpy(to.q, from.q, 32);
    __builtin_memcpy(to.parts, from.parts, sizeof(int16_t) * 2);
    if constexpr (kBias<F, V> != 0) begin_runs<F, V>(from.pairs, 1, to.pairs);
    *to.d = *from.d, *to.sum = *from.sum;
  }
};

// The tiles from `at` on that lie in a panel of blocks [first, end): added to sums[token][row]. Returns the next one.
template <class F, class V, int T>
inline int64_t fine_pass(const Panel<V>* panel, int first, int end, const FineTiles<F, V>& fine, int64_t at,
                         float* sums) {
  constexpr int G = kPanelGroups;
  for (; fine.tiles[at].block < end; ++at) {
    const auto& tile = fine.tiles[at];
    const auto sum = [&](int g, int t) { return sums + (tile.token[t] * G + g) * V::kLanes; };
    typename V::Float acc[G][T];
    for (int t = 0; t < T; ++t) {
      for (int g = 0; g < G; ++g) acc[g][t] = V::load(sum(g, t), 0);
    }
    panel_block<F, V, T>(panel, tile.block - first, fine.low.skip(at * T), 32, acc);
    for (int t = 0; t < T; ++t) {
      for (int g = 0; g < G; ++g) V::store(sum(g, t), acc[g][t], 0);
    }
  }
  return at;
}

template <class F, class V>
void many_tokens(const Matmul& args) {
  constexpr int G = kPanelGroups, kRows = G * V::kLanes;
  static_assert(G == 2);
  const int blocks = args.k / 32, width = args.tokens <= kNarrowTokens ? kNarrowPanel : kPanelBlocks;
  auto* panel = reinterpret_cast<Panel<V>*>(args.scratch);
  auto* low = reinterpret_cast<float*>(panel + G);  // [kTokenGroup][kRows]: sums
  auto* memory = reinterpret_cast<std::byte*>(low + kTokenGroup * kRows);
  constexpr int64_t kStarts = kBias<F, V> != 0 ? 2 * sizeof(uint32_t) : 0;  // of a block
  const int64_t room = (args.scratch + kScratchBytes - memory - 64) / ((FineTiles<F, V>::kBytes + kStarts) * blocks);
  const int most = room < kTokenGroup ? static_cast<int>(room / kFineTile * kFineTile) : kTokenGroup;

  for (int group = 0; group < args.tokens; group += most) {
    const int tokens = args.tokens - group < most ? args.tokens - group : most;
    Activations x = args.x.from(group, args.k);
    std::byte* free = memory;
    if constexpr (kStarts > 0) {
      auto* const starts = reinterpret_cast<int16_t*>(memory);
      begin_runs<F, V>(x.high.pairs, int64_t{tokens} * blocks, starts);
      x.high.pairs = starts;
      free += int64_t{tokens} * blocks * kStarts;
    }
    float* const y = args.y + group * args.y_stride;
    const FineTiles<F, V> fine(x, args.k, tokens, free);
    for (int row = args.row_begin; row < args.row_end; row += kRows) {
      const Rows<V> rows[G] = {{args, row}, {args, row + V::kLanes}};
      for (int i = 0; i < tokens * G; ++i) V::store(low + i * V::kLanes, V::zero_float(), 0);
      int64_t at = 0;
      for (int b0 = 0; b0 < blocks; b0 += width) {
        const int count = blocks - b0 < width ? blocks - b0 : width;
        // The next rows' blocks are asked for meanwhile: half while the panel is filled, half while it is first used.
        RowsAhead<F, V> ahead[G];
        for (int g = 0; g < G; ++g) {
          const int64_t offset = b0 / F::kSuper * static_cast<int64_t>(sizeof(typename F::Block));
          ahead[g] = {rows_after<V>(args, rows[g], row + kRows) + offset + g * V::kLanes * args.row_bytes,
                      args.row_bytes, 0, count};
        }
        for (int g = 0; g < G; ++g) fill_panel<F, V>(rows[g], b0, count, &ahead[0], panel + g);
        int t = 0;
        const auto tile = [&]<int T>() {
          panel_tile<F, V, T>(panel, count, x.high.from(t, args.k).skip(b0), args.k, rows, b0 == 0,
                              y + t * args.y_stride, args.y_stride, t == 0 ? &ahead[1] : nullptr);
          t += T;
        };
        while (t + V::kTile <= tokens) tile.template operator()<V::kTile>();
        if (V::kTile > 4 && t + 4 <= tokens) tile.template operator()<4>();
        if (t + 3 == tokens) tile.template operator()<3>();
        else if (t + 2 == tokens) tile.template operator()<2>();
        else if (t + 1 == tokens) tile.template operator()<1>();
        at = fine.width == 1 ? fine_pass<F, V, 1>(panel, b0, b0 + count, fine, at, low)
                             : fine_pass<F, V, kFineTile>(panel, b0, b0 + count, fine, at, low);
      }
      for (int t = 0; t < tokens; ++t) {
        for (int g = 0; g < G; ++g) {
          float* const sum = y + t * args.y_stride + rows[g].first;
          V::store(sum, V::add(V::load(sum, rows[g].skip), V::load(low + (t * G + g) * V::kLanes, 0)), rows[g].skip);
        }
      }
    }
  }
}

// Up to V::few() tokens: more leave no registers for the sums of each.
template <class F, class V, int T = V::few(F::kGroups)>
inline void few_tokens(const Matmul& args) {
  if (args.tokens == T) return few_tokens_of<F, V, T>(args);
  if constexpr (T > 1) few_tokens<F, V, T - 1>(args);
}

// `plain` multiplies where the matrix has fewer rows than V has lanes.
template <class F, class V>
void matmul_lanes(const Matmul& args, MatmulKernel plain) {
  if (args.row_end < V::kLanes) return plain(args);
  if (args.tokens <= V::few(F::kGroups)) return few_tokens<F, V>(args);
  many_tokens<F, V>(args);
}

}  // namespace
}  // namespace fieldprint
