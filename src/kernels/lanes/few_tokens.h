// Few tokens: bytes are multiplied as soon as they are unpacked.
#pragma once

#include "kernels/lanes/block.h"

namespace fieldprint {
namespace {

constexpr int64_t kL2Distance = 18 << 10;  // bytes from the next rows' lines to those prefetched into L2 with them

// Prefetches the lines that are the share of half kSlot of kSlots of a part: the CPU drops prefetches where too many
// are under way, so every half issues a few. The next rows go into the cache that V names (kNextRowsLocality, the
// locality of
// __builtin_prefetch), lines kL2Distance beyond them into L2, which keeps more of them under way.
template <class V, int kLines, int kSlot, int kSlots, class Line>
inline __attribute__((always_inline)) void prefetch_lines(Line&& line) {
#pragma GCC unroll 16
  for (int i = kLines * kSlot / kSlots; i < kLines * (kSlot + 1) / kSlots; ++i) {
    __builtin_prefetch(line(i), 0, V::kNextRowsLocality);
    __builtin_prefetch(line(i) + kL2Distance, 0, 2);
  }
}

// isum += the integer sum of a half's four words with 16 numbers x, which begins at `starts` (correct_offsets).
template <class F, class V>
inline __attribute__((always_inline)) void half_products(const typename V::Int* values, typename V::Int factor,
                                                         const int8_t* x, const int16_t* starts,
                                                         typename V::Int* isum) {
  constexpr int kRun = run_length<F, V>() < 4 ? run_length<F, V>() : 4;
  typename V::Int sum = kByteOffset<F, V> != 0 ? V::keep_in_register(V::broadcast(starts)) : V::zero();
  repeat<4>([&]<int I>() __attribute__((always_inline)) {
    multiply_word<F, V>(&sum, values[I], V::broadcast(x + 4 * I), factor);
    if constexpr ((I + 1) % kRun == 0) {
      add_run<F, V>(isum, sum, factor);
      sum = V::zero();
    }
  });
}

// The residuals of few tokens. They are rare, so their sums stay in memory and leave the registers to the others: the
// words of a part that has some are kept, and multiplied after all else.
template <class F, class V, int T>
struct FewResiduals {
  Quantized x[T];
  uint32_t outliers[T], any;  // bit s: block s has outliers, in a token, in any of them
  typename V::Int words[F::kPartBlocks][kVectors];
  typename V::Float sums[T];

  inline __attribute__((always_inline)) bool in_part(int first) const {
    return (any >> first & (~0u >> (32 - F::kPartBlocks))) != 0;
  }
  // Adds blocks [first, first + kPartBlocks), whose words are kept.
  inline __attribute__((always_inline)) void add_part(const OwnScales<V, F::kBlocks>& scales, int first) {
    for (int s = 0; s < F::kPartBlocks; ++s) {
      const int b = first + s;
      const auto factor = [&](bool second) { return half_factor<F, V>(scales.pair[b], second); };
      for (int t = 0; t < T; ++t) {
        if ((outliers[t] >> b & 1) == 0) continue;
        const Quantized at = x[t].skip(b);
        typename V::Int isum = V::zero();
        half_products<F, V>(words[s], factor(false), at.q, at.pair_sums, &isum);
        half_products<F, V>(words[s] + 4, factor(true), at.q + 16, at.pair_sums + 2, &isum);
        sums[t] = add_block<F, V>(sums[t], isum, scales.d[b], scales.m[b], scales.min_pair[b], at);
      }
    }
  }
};

// Adds one part of the Block at `offset`, blocks [first, first + kPartBlocks), times those of T tokens at `high` to
// `sums`, and times those of `residuals` to the sums there.
template <class F, class V, int T>
inline __attribute__((always_inline)) void few_part(const Rows<V>& rows, int64_t offset, int part, const uint8_t* next,
                                                    const typename V::Int* head, const OwnScales<V, F::kBlocks>& scales,
                                                    const Quantized* high, FewResiduals<F, V, T>& residuals,
                                                    typename V::Float* sums) {
  using Int = typename V::Int;
  constexpr int64_t kPartBytes =
      int64_t{V::kLanes} * sizeof(typename F::Block) * F::kPartBlocks / F::kBlocks;  // of all rows
  const int first = part * F::kPartBlocks;
  const bool has_outliers = residuals.in_part(first);
  Int isum[F::kPartBlocks][T];
  for (int t = 0; t < T; ++t) {
    for (int s = 0; s < F::kPartBlocks; ++s) isum[s][t] = V::zero();
  }
  Int raw[F::kRawWords];
  repeat<F::kChunks>([&]<int C>() __attribute__((always_inline)) {
    F::template read<C>(rows, offset, part, raw);
    repeat<F::kChunkHalves>([&]<int Y>() __attribute__((always_inline)) {
      prefetch_lines<V, (kPartBytes + 63) / 64, C * F::kChunkHalves + Y, F::kChunks * F::kChunkHalves>(
          [&](int i) { return next + part * kPartBytes + 64 * i; });
      constexpr int kHalf = F::half(C, Y), kBlock = kHalf / 2;
      const Int factor = half_factor<F, V>(scales.pair[first + kBlock], kHalf % 2 == 1);
      Int values[4];
      repeat<4>([&]<int I>() __attribute__((always_inline)) { values[I] = F::template word<C, Y, I>(raw, head); });
      const int at = 2 * first + kHalf;  // of halves
      repeat<T>([&]<int I>() __attribute__((always_inline)) {
        half_products<F, V>(values, factor, high[I].q + 16 * at, high[I].pair_sums + 2 * at, &isum[kBlock][I]);
      });
      if (has_outliers)
        repeat<4>([&]<int I>()
                      __attribute__((always_inline)) { residuals.words[kBlock][kHalf % 2 * 4 + I] = values[I]; });
    });
  });
  for (int s = 0; s < F::kPartBlocks; ++s) {
    const int b = first + s;
    for (int t = 0; t < T; ++t)
      sums[t] =
          add_block_unscaled<F, V>(sums[t], isum[s][t], scales.d[b], scales.m[b], scales.min_pair[b], high[t].skip(b));
  }
  if (has_outliers) residuals.add_part(scales, first);
}

// Rows side by side are too many short streams for the hardware prefetcher: the next group's are prefetched while these
// are multiplied, the first group's at once.
template <class F, class V, int T>
void few_tokens_of(const Matmul& args) {
  constexpr int64_t kBytes = sizeof(typename F::Block);
  const int blocks = args.k / 32, count = blocks / F::kBlocks;
  auto* const starts = reinterpret_cast<int16_t*>(args.scratch);  // [T, 2, blocks, 4]: of high, of the residual
  if constexpr (kByteOffset<F, V> != 0) {
    for (int t = 0; t < T; ++t) {
      const Activations x = args.x.from(t, args.k);
      correct_offsets<F, V, false>(x.high.pair_sums, blocks, starts + 8 * t * blocks);
      correct_offsets<F, V, false>(x.residual.pair_sums, blocks, starts + (8 * t + 4) * blocks);
    }
  }
  const Rows<V> first(args, args.row_begin);
  for (int64_t i = 0; i < V::kLanes * first.stride; i += 64) __builtin_prefetch(first.base + i);
  for (int begin = args.row_begin; begin < args.row_end; begin += V::kLanes) {
    const Rows<V> rows(args, begin);
    const uint8_t* next = rows_after<V>(args, rows, begin + V::kLanes);
    typename V::Float sums[T];
    FewResiduals<F, V, T> residuals;
    for (int t = 0; t < T; ++t) sums[t] = residuals.sums[t] = V::zero_float();
    for (int at = 0; at < count; ++at) {
      const int block = at * F::kBlocks;
      Quantized high[T];  // copies: the compiler knows that no store changes them
      residuals.any = 0;
      for (int t = 0; t < T; ++t) {
        const Activations x = args.x.from(t, args.k);
        high[t] = x.high.skip(block), residuals.x[t] = x.residual.skip(block);
        if constexpr (kByteOffset<F, V> != 0) {
          high[t].pair_sums = starts + 4 * (2 * t * blocks + block);
          residuals.x[t].pair_sums = high[t].pair_sums + 4 * blocks;
        }
        residuals.any |= residuals.outliers[t] = x.outliers[block / kOutlierWord] >> (block % kOutlierWord);
      }
      typename V::Int head[F::kHeadWords + 1];
      OwnScales<V, F::kBlocks> scales;
      F::head(rows, at * kBytes, head);
      F::scales(rows, at * kBytes, scales.at(0));
      typename V::Float block_sums[T];
      for (int t = 0; t < T; ++t) block_sums[t] = kScaleLast<F> ? V::zero_float() : sums[t];
#pragma GCC unroll 1
      for (int part = 0; part < F::kBlocks / F::kPartBlocks; ++part) {
        few_part<F, V, T>(rows, at * kBytes, part, next + at * kBytes * V::kLanes, head, scales, high, residuals,
                          block_sums);
        F::next_part(head);
      }
      for (int t = 0; t < T; ++t) sums[t] = kScaleLast<F> ? V::fma(scales.d[0], block_sums[t], sums[t]) : block_sums[t];
    }
    for (int t = 0; t < T; ++t)
      V::store(args.y + t * args.y_stride + rows.first, V::add(sums[t], residuals.sums[t]), rows.skip);
  }
}

// Up to V::few_tokens() tokens: with more, their sums do not fit in registers.
template <class F, class V, int T = V::few_tokens(F::kGroups)>
inline void few_tokens(const Matmul& args) {
  if (args.tokens == T) return few_tokens_of<F, V, T>(args);
  if constexpr (T > 1) few_tokens<F, V, T - 1>(args);
}

}  // namespace
}  // namespace fieldprint
