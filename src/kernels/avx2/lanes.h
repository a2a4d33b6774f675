// Eight rows across the lanes of an AVX2 register (lanes/vector_contract.h describes the members). Products of bytes
// are added in 16 bits, exactly: maddubs takes unsigned times signed, so signed weights give their sign to the
// activations.
#pragma once

#include <immintrin.h>

#include "kernels/lanes/matmul.h"
#include "kernels/lanes/vector_contract.h"

namespace fieldprint::avx2 {
namespace {

struct Vec {
  using Int = __m256i;
  using Float = __m256;
  static constexpr int kLanes = 8;
  static constexpr int kTileTokens = 4;  // tokens: with two row groups, eight sums in registers
  static constexpr int few_tokens(int groups) { return groups == 1 ? 3 : 2; }
  static constexpr int kNextRowsLocality = 3;  // L1
  static constexpr int kSignedOffset = 0;
  static constexpr int kSignedRun = 8;
  // The pairs of products with bytes up to 127 that fit in 16 bits.
  static constexpr int run(int most) { return most <= 16 ? 8 : most <= 32 ? 4 : 2; }

  static Int zero() { return _mm256_setzero_si256(); }
  static Float zero_float() { return _mm256_setzero_ps(); }
  static Float splat_float(float x) { return _mm256_set1_ps(x); }
  static Int splat_8(int x) { return _mm256_set1_epi8(static_cast<char>(x)); }
  static Int splat_16(int x) { return _mm256_set1_epi16(static_cast<short>(x)); }
  static Int splat_32(int x) { return _mm256_set1_epi32(x); }
  static Int ramp_32(int x, int step) {
    return _mm256_setr_epi32(x, x + step, x + 2 * step, x + 3 * step, x, x + step, x + 2 * step, x + 3 * step);
  }
  static Int byte_table(const int8_t* sixteen) {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(sixteen)));
  }

  static Int bit_and(Int a, Int b) { return _mm256_and_si256(a, b); }
  static Int bit_or(Int a, Int b) { return _mm256_or_si256(a, b); }
  static Int bit_xor(Int a, Int b) { return _mm256_xor_si256(a, b); }
  template <int N>
  static Int shift_left_16(Int a) {
    return N == 0 ? a : _mm256_slli_epi16(a, N);
  }
  template <int N>
  static Int shift_right_16(Int a) {
    return N == 0 ? a : _mm256_srli_epi16(a, N);
  }
  template <int N>
  static Int shift_left_32(Int a) {
    return _mm256_slli_epi32(a, N);
  }
  template <int N>
  static Int shift_right_32(Int a) {
    return _mm256_srli_epi32(a, N);
  }
  static Int add_8(Int a, Int b) { return _mm256_add_epi8(a, b); }
  static Int sub_8(Int a, Int b) { return _mm256_sub_epi8(a, b); }
  static Int add_32(Int a, Int b) { return _mm256_add_epi32(a, b); }
  static Int sub_32(Int a, Int b) { return _mm256_sub_epi32(a, b); }
  static constexpr bool kDotIn32 = false;  // sums of bytes are in 16 bits already
  static Int madd_16(Int a, Int b) { return _mm256_madd_epi16(a, b); }
  static Int shuffle_bytes(Int table, Int index) { return _mm256_shuffle_epi8(table, index); }
  static Int min_u8(Int a, Int b) { return _mm256_min_epu8(a, b); }
  static Int saturating_sub_u8(Int a, Int b) { return _mm256_subs_epu8(a, b); }
  static Int negate_bytes_where(Int a, Int bits, Int one) {
    const Int minus = _mm256_cmpeq_epi8(_mm256_and_si256(bits, one), one);
    return _mm256_sub_epi8(_mm256_xor_si256(a, minus), minus);
  }
  static Int from_signed(Int a) { return a; }

  static Float add(Float a, Float b) { return _mm256_add_ps(a, b); }
  static Float mul(Float a, Float b) { return _mm256_mul_ps(a, b); }
  static Float fma(Float a, Float b, Float c) { return _mm256_fmadd_ps(a, b, c); }
  static Float negate(Float a) { return _mm256_xor_ps(a, _mm256_set1_ps(-0.0f)); }
  static Float to_float(Int a) { return _mm256_cvtepi32_ps(a); }
  static Float float_of_bits(Int a) { return _mm256_castsi256_ps(a); }
  static Float f16_low(Int a) { return halves(_mm256_and_si256(a, _mm256_set1_epi32(0xffff))); }
  static Float f16_high(Int a) { return halves(_mm256_srli_epi32(a, 16)); }

  static Int low_pair(Int a) { return pairs(a, 0x01000000); }
  static Int high_pair(Int a) { return pairs(a, 0x03000200); }
  template <int I>
  static Int byte(Int a) {
    return _mm256_shuffle_epi8(a, ramp_32(static_cast<int>(0x80808000u + I), 4));
  }
  // A scale in both words.
  static Int first_factor(Int pair) { return _mm256_shuffle_epi8(pair, ramp_32(0x01000100, 0x04040404)); }
  static Int second_factor(Int pair) { return _mm256_shuffle_epi8(pair, ramp_32(0x03020302, 0x04040404)); }
  static Int one_factor() { return splat_16(1); }

  template <int N>
  static Int offset_correction(Int pairs) {
    return _mm256_mullo_epi16(pairs, splat_16(-N));
  }
  static Int upper_32(Int a) { return _mm256_srli_epi64(a, 32); }
  // Without it GCC first computes all products of a block, and spills them.
  static Int keep_in_register(Int sum) {
    asm("" : "+x"(sum));
    return sum;
  }
  static Int dot(Int sum, Int values, Int x) {
    return keep_in_register(_mm256_add_epi16(sum, _mm256_maddubs_epi16(values, x)));
  }
  static Int add_dots(Int a, Int b) { return _mm256_add_epi16(a, b); }
  template <int>
  static Int add_run(Int isum, Int sum, Int factor) {
    return keep_in_register(_mm256_add_epi32(isum, _mm256_madd_epi16(sum, factor)));
  }
  static Int dot_signed(Int sum, Int values, Int x, Int factor) {
    const __m256i p = _mm256_maddubs_epi16(_mm256_abs_epi8(values), _mm256_sign_epi8(x, values));
    return keep_in_register(_mm256_add_epi32(sum, _mm256_madd_epi16(p, factor)));
  }
  template <int>
  static Int add_run_signed(Int isum, Int sum, Int) {
    return _mm256_add_epi32(isum, sum);
  }

  template <class T>
  static Int broadcast(const T* at) {
    int32_t word;
    __builtin_memcpy(&word, at, sizeof word);
    return _mm256_set1_epi32(word);
  }
  static Float broadcast(const float* at) { return _mm256_broadcast_ss(at); }

  static void load_transposed(const uint8_t* base, int64_t stride, Int* out) {
    Int v[4];
    sixteen(base, stride, v);
    transpose(v, out);
  }
  // Through memory, loads of 16 bytes would wait for the stores of 8.
  template <class Eight>
  static void transpose_rows(Eight&& eight, Int* out) {
    const auto row = [&](int r) {
      return _mm_set_epi64x(static_cast<int64_t>(eight(r, 1)), static_cast<int64_t>(eight(r, 0)));
    };
    Int v[4];
    for (int r = 0; r < 4; ++r) v[r] = _mm256_inserti128_si256(_mm256_castsi128_si256(row(r)), row(r + 4), 1);
    transpose(v, out);
  }
  static Int load_first_words(const uint8_t* base, int64_t stride) {
    Int v[4];
    sixteen(base, stride, v);
    return _mm256_unpacklo_epi64(_mm256_unpacklo_epi32(v[0], v[1]), _mm256_unpacklo_epi32(v[2], v[3]));
  }
  static Int load_last_words(const uint8_t* base, int64_t stride) {
    Int v[4];
    sixteen(base, stride, v);
    return _mm256_unpackhi_epi64(_mm256_unpackhi_epi32(v[0], v[1]), _mm256_unpackhi_epi32(v[2], v[3]));
  }

  // Lanes from `skip` on; masked stores take dozens of cycles on AMD, so whole ones go without.
  static Float load(const float* p, int skip) {
    return skip == 0 ? _mm256_loadu_ps(p) : _mm256_maskload_ps(p, mask(skip));
  }
  static void store(float* p, Float v, int skip) {
    if (skip == 0) _mm256_storeu_ps(p, v);
    else _mm256_maskstore_ps(p, mask(skip), v);
  }

 private:
  static void transpose(const Int* v, Int* out) {
    const Int a = _mm256_unpacklo_epi32(v[0], v[1]), b = _mm256_unpacklo_epi32(v[2], v[3]);
    const Int c = _mm256_unpackhi_epi32(v[0], v[1]), d = _mm256_unpackhi_epi32(v[2], v[3]);
    out[0] = _mm256_unpacklo_epi64(a, b), out[1] = _mm256_unpackhi_epi64(a, b);
    out[2] = _mm256_unpacklo_epi64(c, d), out[3] = _mm256_unpackhi_epi64(c, d);
  }
  static Int mask(int skip) {
    return _mm256_cmpgt_epi32(_mm256_setr_epi32(1, 2, 3, 4, 5, 6, 7, 8), _mm256_set1_epi32(skip));
  }
  static Int pairs(Int a, int pick) { return _mm256_srai_epi16(_mm256_shuffle_epi8(a, ramp_32(pick, 0x04040404)), 8); }
  static Float halves(Int dwords) {
    const Int packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(dwords, dwords), 0xd8);
    return _mm256_cvtph_ps(_mm256_castsi256_si128(packed));
  }
  // Rows r and r + 4 side by side. A blend takes any port, an insert one of the two that the transposes need.
  static void sixteen(const uint8_t* base, int64_t stride, Int* v) {
    const uint8_t* upper = base + 4 * stride;
    for (int r = 0; r < 4; ++r) {
      const auto* low = reinterpret_cast<const __m128i*>(base + r * stride);
      const auto* high = reinterpret_cast<const __m128i*>(upper + r * stride);
      v[r] = _mm256_blend_epi32(_mm256_castsi128_si256(_mm_loadu_si128(low)),
                                _mm256_broadcastsi128_si256(_mm_loadu_si128(high)), 0xf0);
    }
  }
};

static_assert(PackedLaneVector<Vec>);

}  // namespace
}  // namespace fieldprint::avx2
