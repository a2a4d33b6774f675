// Few tokens: bytes are multiplied as soon as they are there.
#pragma once

#include "kernels/lanes/block.h"

namespace fieldprint {
namespace {

constexpr int64_t kFurther = 18 << 10;  // bytes from the next rows' lines to others that are asked for with them

// The lines of a part that half kSlot of kSlots has fetched: a prefetch is lost where too many are under way, so every
// half asks for a few. Lines further on come into the second cache, which keeps more of them under way; the next rows'
// where V says (V::kNextRows, a locality of __builtin_prefetch).
template <class V, int kLines, int kSlot, int kSlots, class Line>
inline __attribute__((always_inline)) void fetch(Line&& line) {
#pragma GCC unroll 16
  for (int i = kLines * kSlot / kSlots; i < kLines * (kSlot + 1) / kSlots; ++i) {
    __builtin_prefetch(line(i), 0, V::kNextRows);
    __builtin_prefetch(line(i) + kFurther, 0, 2);
  }
}

// isum += the integer sum of a half's four words with 16 numbers x; `starts` are theirs (begin_runs).
template <class F, class V>
inline __attribute__((always_inline)) void half_products(const typename V::Int* values, typename V::Int factor,
                                                         const int8_t* x, const int16_t* starts,
                                                         typename V::Int* isum) {
  constexpr int kRun = run_length<F, V>() < 4 ? run_length<F, V>() : 4;
  typename V::Int sum = kBias<F, V> != 0 ? V::now(V::broadcast(starts)) : V::zero();
  repeat<4>([&]<int I>() __attribute__((always_inline)) {
    multiply_word<F, V>(&sum, values[I], V::broadcast(x + 4 * I), factor);
    if constexpr ((I + 1) % kRun == 0) {
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
      fetch<V, (kPartBytes + 63) / 64, C * F::kYield + Y, F::kChunks * F::kYield>(
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
      sums[t] =
          absorb_unscaled<F, V>(sums[t], isum[s][t], scales.d[b], scales.m[b], scales.min_pair[b], high[t].skip(b));
  }
  if (fine) low.add_part(scales, first);
}

// Rows side by side are too many short streams for the hardware to foresee: the next group's are fetched while these
// are multiplied, the first group's at once.
template <class F, class V, int T>
void few_tokens_of(const Matmul& args) {
  constexpr int64_t kBytes = sizeof(typename F::Block);
  const int blocks = args.k / 32, count = blocks / F::kSuper;
  auto* const starts = reinterpret_cast<int16_t*>(args.scratch);  // [T, 2, blocks, 4]: of high, of low
  if constexpr (kBias<F, V> != 0) {
    for (int t = 0; t < T; ++t) {
      const Activations x = args.x.from(t, args.k);
      begin_runs<F, V, false>(x.high.pairs, blocks, starts + 8 * t * blocks);
      begin_runs<F, V, false>(x.low.pairs, blocks, starts + (8 * t + 4) * blocks);
    }
  }
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
        if constexpr (kBias<F, V> != 0) {
          high[t].pairs = starts + 4 * (2 * t * blocks + block);
          low.x[t].pairs = high[t].pairs + 4 * blocks;
        }
        low.any |= low.fine[t] = x.fine[block / kFineWord] >> (block % kFineWord);
      }
      typename V::Int head[F::kHead + 1];
      OwnScales<V, F::kSuper> scales;
      F::head(rows, at * kBytes, head);
      F::scales(rows, at * kBytes, scales.at(0));
      typename V::Float block_sums[T];
      for (int t = 0; t < T; ++t) block_sums[t] = kScaleLast<F> ? V::zero_float() : sums[t];
#pragma GCC unroll 1
      for (int part = 0; part < F::kSuper / F::kShare; ++part) {
        few_part<F, V, T>(rows, at * kBytes, part, next + at * kBytes * V::kLanes, head, scales, high, low, block_sums);
        F::next_part(head);
      }
      for (int t = 0; t < T; ++t) sums[t] = kScaleLast<F> ? V::fma(scales.d[0], block_sums[t], sums[t]) : block_sums[t];
    }
    for (int t = 0; t < T; ++t)
      V::store(args.y + t * args.y_stride + rows.first, V::add(sums[t], low.sums[t]), rows.skip);
  }
}

// Up to V::few() tokens: more leave no registers for the sums of each.
template <class F, class V, int T = V::few(F::kGroups)>
inline void few_tokens(const Matmul& args) {
  if (args.tokens == T) return few_tokens_of<F, V, T>(args);
  if constexpr (T > 1) few_tokens<F, V, T - 1>(args);
}

}  // namespace
}  // namespace fieldprint
