// What a quantised product is made of, for any format and any vector V whose lanes hold 32 bits: rows side by side, a
// format's shape, the integer sums of a block of 32 and what joins them to a float (see matmul.h).
#pragma once

#include "kernels/table.h"

namespace fieldprint {
namespace {

constexpr int kVectors = 8;  // of four bytes a row: a block of 32

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

template <class F>
constexpr int kLargest = F::kOffset > F::kMost - F::kOffset ? F::kOffset : F::kMost - F::kOffset;

// Products that V adds up before it must look at the scale, or at the 16 bits of its sums: sums of what the bytes are
// without their offset, since they begin so.
template <class F, class V>
constexpr int run_length() {
  constexpr int kGroup = F::kGroups == 2 ? 4 : 8;
  constexpr int kLimit = F::kSigned ? V::kSignedRun : V::run(kLargest<F>);
  static_assert(F::kOffset == 0 || kLimit >= 4);
  return kLimit < kGroup ? kLimit : kGroup;
}

template <class F, class V>
constexpr bool kWholeRuns = run_length<F, V>() == kVectors;

// Two sums of 16 that fit in 15 bits can be multiplied with their scales at once: the second half's in the upper 16
// bits, the first's, above kAbove so that it borrows nothing, in the lower.
constexpr int kAboveBits = 14, kAbove = 1 << kAboveBits;
template <class F, class V>
constexpr bool kPacked = F::kGroups == 2 && !F::kSigned && V::kPacks && 16 * 127 * kLargest<F> < kAbove;

// The float scale is the whole Block's, so it is multiplied with the sum over its blocks (the contract: d_w last).
template <class F>
constexpr bool kScaleLast = F::kGroups == 2 && !F::kMin;

// What the sums of n blocks' halves begin with, made once for all rows: two words a block, as `pairs` has them; where
// `kWhole`, the first is of the block's sum. `starts` may be `pairs`.
template <class F, class V, bool kWhole>
void begin_runs(const int16_t* pairs, int64_t n, int16_t* starts) {
  constexpr int64_t kAtOnce = sizeof(typename V::Int) / (4 * sizeof(int16_t));
  const auto begin = [](const void* from, void* to, size_t bytes) __attribute__((always_inline)) {
    typename V::Int sums = V::zero();
    __builtin_memcpy(&sums, from, bytes);
    sums = V::template without<kBias<F, V>>(sums);
    if constexpr (kWhole) sums = V::add_sums(sums, V::upper_words(sums));
    __builtin_memcpy(to, &sums, bytes);
  };
  int64_t b = 0;
  for (; b + kAtOnce <= n; b += kAtOnce) begin(pairs + 4 * b, starts + 4 * b, sizeof(typename V::Int));
  if (b < n) begin(pairs + 4 * b, starts + 4 * b, static_cast<size_t>(n - b) * 4 * sizeof(int16_t));
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

// sum[g][t] += words [first, first + kCount) of a block of G row groups with those at x of T tokens side by side.
template <class F, class V, int G, int T, int kCount>
inline __attribute__((always_inline)) void multiply_words(const typename V::Int* const* values, int first,
                                                          const typename V::Int (*factor)[2], const Quantized& x,
                                                          typename V::Int (*sum)[T]) {
#pragma GCC unroll 8
  for (int i = first; i < first + kCount; ++i) {
    for (int t = 0; t < T; ++t) {
      const typename V::Int word = V::broadcast(x.skip(t).q + 4 * i);
      for (int g = 0; g < G; ++g) multiply_word<F, V>(&sum[g][t], values[g][i], word, factor[g][i / 4]);
    }
  }
}

// isum[g][t] = the integer sum of one block of G row groups with that at x of T tokens side by side; x.pairs are
// begin_runs().
template <class F, class V, int G, int T>
inline void products(const typename V::Int* const* values, const typename V::Int* pair, const Quantized& x,
                     typename V::Int (*isum)[T]) {
  using Int = typename V::Int;
  constexpr int kRun = run_length<F, V>();
  const auto start = [&](int t, int i0) __attribute__((always_inline)) {
    return kBias<F, V> == 0 ? V::zero() : V::broadcast(x.skip(t).pairs + i0 / 2);
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
    multiply_words<F, V, G, T, 4>(values, 4, factor, x, isum);
    for (int t = 0; t < T; ++t) {
      const Int begin = V::add_32(V::dwords(kAbove), start(t, 0));
      for (int g = 0; g < G; ++g) isum[g][t] = V::add_32(V::template shift_left_32<16>(isum[g][t]), begin);
    }
    multiply_words<F, V, G, T, 4>(values, 0, factor, x, isum);
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
    multiply_words<F, V, G, T, kRun>(values, i0, factor, x, sum);
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

// The same, less a scale that comes last.
template <class F, class V>
inline typename V::Float absorb_unscaled(typename V::Float acc, typename V::Int isum, typename V::Float d,
                                         typename V::Float m, typename V::Int min_pair, const Quantized& x) {
  if constexpr (kScaleLast<F>) return V::fma(V::broadcast(x.d), V::to_float(isum), acc);
  else return absorb<F, V>(acc, isum, d, m, min_pair, x);
}

// f.operator()<0>(), <1> ...
template <int kCount, int I = 0, class Function>
inline __attribute__((always_inline)) void repeat(Function&& f) {
  if constexpr (I < kCount) {
    f.template operator()<I>();
    repeat<kCount, I + 1>(f);
  }
}

}  // namespace
}  // namespace fieldprint
