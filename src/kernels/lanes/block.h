// The parts of a quantised product, for any format and any vector V whose lanes hold 32 bits: rows side by side, the
// members of a format, the integer sum of a block of 32, and the step that adds it to a float (see matmul.h).
#pragma once

#include "kernels/table.h"

namespace fieldprint {
namespace {

constexpr int kVectors = 8;  // a block of 32, four bytes of each row in a vector

// The kLanes rows from `first` on; where fewer are left, the group begins `skip` rows before and these lanes are not
// stored. The matrix has at least kLanes rows.
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

// The rows to prefetch: those from `row` on, or args.next after the last. Where that is not known, `rows`, which are in
// the cache already.
template <class V>
inline const uint8_t* rows_after(const Matmul& args, const Rows<V>& rows, int row) {
  if (row < args.row_end) return reinterpret_cast<const uint8_t*>(args.weights + row * args.row_bytes);
  return args.next != nullptr ? reinterpret_cast<const uint8_t*>(args.next) : rows.base;
}

// The factors of consecutive blocks' integer sums. Scales of 16 values are integers: two 16-bit words a lane.
template <class V>
struct Scales {
  typename V::Float *d, *m;
  typename V::Int *pair, *min_pair;
};
template <class V, int kCount>
struct OwnScales {
  typename V::Float d[kCount], m[kCount];
  typename V::Int pair[kCount], min_pair[kCount];

  Scales<V> at(int b) { return {d + b, m + b, pair + b, min_pair + b}; }
};

// 16 bytes of every row from `offset` on: words 0 .. 3 across the lanes.
template <class V>
inline void read16(const Rows<V>& rows, int64_t offset, typename V::Int* words) {
  V::load_transposed(rows.base + offset, rows.stride, words);
}

// A format F<V> describes a weight type. A Block is cut into parts, runs of blocks of 32 that share bytes; a part is
// read in chunks, columns of 16 bytes; a chunk holds halves, 16 values of a block each.
//
//   Block, kBlocks             the struct that rows are made of, and the blocks of 32 that it holds
//   kPartBlocks                blocks of 32 in a part
//   kChunks, kChunkHalves      chunks in a part, halves in a chunk
//   half(chunk, y)             which half of the part a chunk's half y is, 0 .. 2 * kPartBlocks - 1
//   kHeadWords, head(rows, offset, words)   words that all parts need
//   next_part(words)           makes the head's words those of the part after
//   scales(rows, offset, scales)            a Block's factors
//   read<C>(rows, offset, part, raw)        a part's chunk C as kRawWords words; some may stay from the chunk before
//   word<C, Y, I>(raw, head)   values 4 * I .. 4 * I + 3 of the chunk's half Y, as bytes
//   kMaxByte                   the largest byte that word() gives
//   kSigned                    word() gives signed bytes (through V::from_signed)
//   kOffset                    word() gives the values plus this
//   kHasMin                    values have a minimum
//   kGroups                    2: every 16 values have an integer scale (and minimum) of their own; 1: every 32
//
// The amount by which the bytes that V multiplies exceed the values.
template <class F, class V>
constexpr int kByteOffset = F::kSigned ? V::kSignedOffset : F::kOffset;

template <class F>
constexpr int kLargest = F::kOffset > F::kMaxByte - F::kOffset ? F::kOffset : F::kMaxByte - F::kOffset;

// Calls of V::dot() on one sum before a scale is due, or before its 16 bits might overflow. The sums begin at the
// offset's correction, so the values without the offset count.
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
constexpr bool kPacked = F::kGroups == 2 && !F::kSigned && V::kDotIn32 && 16 * 127 * kLargest<F> < kAbove;

// The float scale is the whole Block's, so it is multiplied with the sum over its blocks (the contract: d_w last).
template <class F>
constexpr bool kScaleLast = F::kGroups == 2 && !F::kHasMin;

// The corrections for the bytes' offset that the sums of n blocks begin with, computed once for all weight rows: of
// each half two words, like pair_sums; where `kWhole`, the first half's is the block's. `starts` may be `pair_sums`.
template <class F, class V, bool kWhole>
void correct_offsets(const int16_t* pair_sums, int64_t n, int16_t* starts) {
  constexpr int64_t kAtOnce = sizeof(typename V::Int) / (4 * sizeof(int16_t));
  const auto begin = [](const void* from, void* to, size_t bytes) __attribute__((always_inline)) {
    typename V::Int sums = V::zero();
    __builtin_memcpy(&sums, from, bytes);
    sums = V::template offset_correction<kByteOffset<F, V>>(sums);
    if constexpr (kWhole) sums = V::add_dots(sums, V::upper_32(sums));
    __builtin_memcpy(to, &sums, bytes);
  };
  int64_t b = 0;
  for (; b + kAtOnce <= n; b += kAtOnce) begin(pair_sums + 4 * b, starts + 4 * b, sizeof(typename V::Int));
  if (b < n) begin(pair_sums + 4 * b, starts + 4 * b, static_cast<size_t>(n - b) * 4 * sizeof(int16_t));
}

// The factor of the sums of a block's first or second half.
template <class F, class V>
inline __attribute__((always_inline)) typename V::Int half_factor(typename V::Int pair, bool second) {
  if constexpr (F::kGroups == 1) return V::one_factor();
  else return second ? V::second_factor(pair) : V::first_factor(pair);
}

// sum += four values of every row times the four bytes of `x`.
template <class F, class V>
inline void multiply_word(typename V::Int* sum, typename V::Int values, typename V::Int x, typename V::Int factor) {
  if constexpr (F::kSigned) *sum = V::dot_signed(*sum, values, x, factor);
  else *sum = V::dot(*sum, values, x);
}
// isum += a run's sum.
template <class F, class V>
inline void add_run(typename V::Int* isum, typename V::Int sum, typename V::Int factor) {
  if constexpr (F::kSigned) *isum = V::template add_run_signed<F::kGroups>(*isum, sum, factor);
  else *isum = V::template add_run<F::kGroups>(*isum, sum, factor);
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

// isum[g][t] = the integer sum of one block of G row groups with that at x of T tokens side by side. x.pair_sums
// holds the starts that correct_offsets() made.
template <class F, class V, int G, int T>
inline void products(const typename V::Int* const* values, const typename V::Int* pair, const Quantized& x,
                     typename V::Int (*isum)[T]) {
  using Int = typename V::Int;
  constexpr int kRun = run_length<F, V>();
  const auto start = [&](int t, int i0) __attribute__((always_inline)) {
    return kByteOffset<F, V> == 0 ? V::zero() : V::broadcast(x.skip(t).pair_sums + i0 / 2);
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
      const Int begin = V::add_32(V::splat_32(kAbove), start(t, 0));
      for (int g = 0; g < G; ++g) isum[g][t] = V::add_32(V::template shift_left_32<16>(isum[g][t]), begin);
    }
    multiply_words<F, V, G, T, 4>(values, 0, factor, x, isum);
    for (int g = 0; g < G; ++g) {
      const Int above = V::sub_32(V::zero(), V::template shift_left_32<kAboveBits>(factor[g][0]));
      for (int t = 0; t < T; ++t) isum[g][t] = V::madd_16_add(above, isum[g][t], pair[g]);
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

// acc + the block at x, by the contract's formula (kernels/table.h).
template <class F, class V>
inline typename V::Float add_block(typename V::Float acc, typename V::Int isum, typename V::Float d,
                                   typename V::Float m, typename V::Int min_pair, const Quantized& x) {
  const typename V::Float dx = V::broadcast(x.d);
  if constexpr (F::kHasMin && F::kGroups == 2) {
    const typename V::Int least = V::madd_16(min_pair, V::broadcast(x.half_sums));
    return V::fma(dx, V::fma(m, V::to_float(least), V::mul(d, V::to_float(isum))), acc);
  }
  acc = V::fma(V::mul(d, dx), V::to_float(isum), acc);
  if constexpr (F::kHasMin) acc = V::fma(m, V::broadcast(x.sum), acc);
  return acc;
}

// The same without a scale that comes last.
template <class F, class V>
inline typename V::Float add_block_unscaled(typename V::Float acc, typename V::Int isum, typename V::Float d,
                                            typename V::Float m, typename V::Int min_pair, const Quantized& x) {
  if constexpr (kScaleLast<F>) return V::fma(V::broadcast(x.d), V::to_float(isum), acc);
  else return add_block<F, V>(acc, isum, d, m, min_pair, x);
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
