// The members of the vector V that the quantised product (matmul.h) is written for, which an instruction set brings.
// avx2/lanes.h and avx512/lanes.h are checked against it; a new instruction set works through this list. Members are
// static, lanes hold 32 bits, and lane r belongs to weight row r.
#pragma once

#include <cstdint>

namespace fieldprint {
namespace {

template <class A, class B>
concept SameAs = __is_same(A, B);

struct EightBytes {  // of row r: the first eight (j = 0) or the second (j = 1)
  uint64_t operator()(int r, int j) const;
};

template <class V, class Int = typename V::Int, class Float = typename V::Float>
concept LaneVector = requires(Int i, Float f, Int* out, const uint8_t* rows, int64_t stride, const int8_t* bytes,
                              const int16_t* words, const float* x, float* y) {
  // ---- Types and sizes
  requires sizeof(Int) == 4 * V::kLanes;  // Int, a register of integers of any width; kLanes, its lanes of 32 bits
  requires sizeof(Float) == sizeof(Int);  // Float, a register of float32
  requires V::kTileTokens >= 4;           // tokens of a tile: with two row groups, sums that fit in registers
  // Tokens that few_tokens.h multiplies at once, by the kGroups of a format.
  requires(V::few_tokens(1) >= 1 && V::few_tokens(2) >= 1);
  // The cache of prefetched rows in few_tokens.h, as __builtin_prefetch has it: 3 for L1, 2 for L2.
  requires(V::kNextRowsLocality >= 0 && V::kNextRowsLocality <= 3);

  // ---- Constants in every lane
  { V::zero() } -> SameAs<Int>;
  { V::zero_float() } -> SameAs<Float>;
  { V::splat_8(1) } -> SameAs<Int>;
  { V::splat_16(1) } -> SameAs<Int>;
  { V::splat_32(1) } -> SameAs<Int>;
  { V::splat_float(1.0f) } -> SameAs<Float>;
  { V::ramp_32(1, 2) } -> SameAs<Int>;      // x, x + step, x + 2 * step, x + 3 * step in every four lanes
  { V::byte_table(bytes) } -> SameAs<Int>;  // 16 bytes in every four lanes, for shuffle_bytes()
  { V::broadcast(bytes) } -> SameAs<Int>;   // four bytes in every lane
  { V::broadcast(words) } -> SameAs<Int>;   // two words
  { V::broadcast(x) } -> SameAs<Float>;     // one float in every lane

  // ---- Integers: the suffix is the width in bits that an operation works on
  { V::bit_and(i, i) } -> SameAs<Int>;
  { V::bit_or(i, i) } -> SameAs<Int>;
  { V::bit_xor(i, i) } -> SameAs<Int>;
  { V::template shift_left_16<1>(i) } -> SameAs<Int>;
  { V::template shift_right_16<1>(i) } -> SameAs<Int>;  // zeros come in, here and below
  { V::template shift_left_32<1>(i) } -> SameAs<Int>;
  { V::template shift_right_32<1>(i) } -> SameAs<Int>;
  { V::upper_32(i) } -> SameAs<Int>;  // of every 64 bits the upper 32, in the place of the lower
  { V::add_8(i, i) } -> SameAs<Int>;
  { V::sub_8(i, i) } -> SameAs<Int>;
  { V::add_32(i, i) } -> SameAs<Int>;
  { V::sub_32(i, i) } -> SameAs<Int>;
  { V::min_u8(i, i) } -> SameAs<Int>;
  { V::saturating_sub_u8(i, i) } -> SameAs<Int>;      // a - b, or 0
  { V::madd_16(i, i) } -> SameAs<Int>;                // of every lane a0 * b0 + a1 * b1, words signed
  { V::shuffle_bytes(i, i) } -> SameAs<Int>;          // (table, index): within every four lanes; bit 7 of an index: 0
  { V::negate_bytes_where(i, i, i) } -> SameAs<Int>;  // (a, bits, one): bytes of a, negated where bits has one's bit
  { V::template byte<1>(i) } -> SameAs<Int>;          // byte I of every lane, as 32 bits
  { V::low_pair(i) } -> SameAs<Int>;                  // bytes 0, 1 of every lane as two signed words
  { V::high_pair(i) } -> SameAs<Int>;                 // bytes 2, 3

  // ---- Float32: each one IEEE operation
  { V::add(f, f) } -> SameAs<Float>;
  { V::mul(f, f) } -> SameAs<Float>;
  { V::fma(f, f, f) } -> SameAs<Float>;  // a * b + c, rounded once
  { V::negate(f) } -> SameAs<Float>;
  { V::to_float(i) } -> SameAs<Float>;       // of signed 32 bits, to nearest even
  { V::float_of_bits(i) } -> SameAs<Float>;  // the same bits
  { V::f16_low(i) } -> SameAs<Float>;        // the half in the lower (upper) 16 bits of every lane
  { V::f16_high(i) } -> SameAs<Float>;

  // ---- Memory
  V::load_transposed(rows, stride, out);                 // 16 bytes of every row: word i of row r in lane r of out[i]
  V::transpose_rows(EightBytes(), out);                  // the same, of bytes that a function gives
  { V::load_first_words(rows, stride) } -> SameAs<Int>;  // of 16 bytes of every row the first four, in its lane
  { V::load_last_words(rows, stride) } -> SameAs<Int>;   // the last four
  { V::load(x, 1) } -> SameAs<Float>;                    // (p, skip): lanes from skip on; nothing else is touched
  V::store(y, f, 1);

  // ---- Integer dot products, exact: bytes of weights times bytes of activations in [-127, 127]
  // A sum is of 32 bits a lane (kDotIn32) or of two words of 16; run(most) says how often dot() may add to it when
  // bytes go up to `most`: 2, 4 or 8.
  requires SameAs<decltype(V::kDotIn32), const bool>;
  requires(V::run(255) >= 1 && V::run(1) <= 8);
  { V::dot(i, i, i) } -> SameAs<Int>;                  // (sum, values, x): sum + values (unsigned) * x, bytes of a lane
  { V::add_dots(i, i) } -> SameAs<Int>;                // one sum of two
  { V::template add_run<2>(i, i, i) } -> SameAs<Int>;  // (isum, sum, factor): isum + sum * factor; <1>: isum + sum
  // Signed bytes become operands by from_signed(), which adds kSignedOffset; kSignedRun is their run(). Where the scale
  // of 16 values is due within the dot product, `factor` has it.
  requires(V::kSignedOffset >= 0 && V::kSignedRun >= 1);
  { V::from_signed(i) } -> SameAs<Int>;
  { V::dot_signed(i, i, i, i) } -> SameAs<Int>;
  { V::template add_run_signed<2>(i, i, i) } -> SameAs<Int>;
  // Where operands are N too large, sums begin at -N times the activations' pair_sums.
  { V::template offset_correction<8>(i) } -> SameAs<Int>;
  // The scale of the first (second) 16 values of a pair as add_run() takes it, and the factor 1.
  { V::first_factor(i) } -> SameAs<Int>;
  { V::second_factor(i) } -> SameAs<Int>;
  { V::one_factor() } -> SameAs<Int>;
  { V::keep_in_register(i) } -> SameAs<Int>;  // the value, computed here: GCC would reorder sums and spill them
};

// Where sums are of 32 bits, madd_16_add(sum, a, b) too: sum + a0 * b0 + a1 * b1 of every lane (block.h, kPacked).
template <class V>
concept PackedLaneVector = LaneVector<V> &&(!V::kDotIn32 || requires(typename V::Int i) { V::madd_16_add(i, i, i); });

}  // namespace
}  // namespace fieldprint
