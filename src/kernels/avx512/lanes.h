// Sixteen rows across the lanes of an AVX-512 register (lanes/vector_contract.h describes the members). VNNI adds four
// products of an unsigned and a signed byte to 32 bits, exactly; signed weights are offset to unsigned ones, and their
// sums begin at the offset times the activations' sum below zero, in integers.
#pragma once

#include "kernels/avx512/avx512.h"
#include "kernels/avx512/vec.h"
#include "kernels/lanes/matmul.h"
#include "kernels/lanes/vector_contract.h"

namespace fieldprint::avx512 {
namespace {

struct Vec {
  using Int = __m512i;
  using Float = __m512;
  static constexpr int kLanes = 16;
  static constexpr int kTileTokens = 8;  // tokens: with two row groups, sixteen sums in registers
  static constexpr int few_tokens(int) { return kTileTokens; }
  static constexpr int kNextRowsLocality = 2;  // L2: they would fill L1
  static constexpr int kSignedOffset = 128;
  static constexpr int kSignedRun = 8;
  static constexpr int run(int) { return 8; }

  static Int zero() { return _mm512_setzero_si512(); }
  static Float zero_float() { return _mm512_setzero_ps(); }
  static Float splat_float(float x) { return _mm512_set1_ps(x); }
  static Int splat_8(int x) { return _mm512_set1_epi8(static_cast<char>(x)); }
  static Int splat_16(int x) { return _mm512_set1_epi16(static_cast<short>(x)); }
  static Int splat_32(int x) { return _mm512_set1_epi32(x); }
  static Int ramp_32(int x, int step) {
    return _mm512_broadcast_i32x4(_mm_setr_epi32(x, x + step, x + 2 * step, x + 3 * step));
  }
  static Int byte_table(const int8_t* sixteen) {
    return _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(sixteen)));
  }

  static Int bit_and(Int a, Int b) { return _mm512_and_si512(a, b); }
  static Int bit_or(Int a, Int b) { return _mm512_or_si512(a, b); }
  static Int bit_xor(Int a, Int b) { return _mm512_xor_si512(a, b); }
  template <int N>
  static Int shift_left_16(Int a) {
    return N == 0 ? a : _mm512_slli_epi16(a, N);
  }
  template <int N>
  static Int shift_right_16(Int a) {
    return N == 0 ? a : _mm512_srli_epi16(a, N);
  }
  template <int N>
  static Int shift_left_32(Int a) {
    return _mm512_slli_epi32(a, N);
  }
  template <int N>
  static Int shift_right_32(Int a) {
    return _mm512_srli_epi32(a, N);
  }
  static Int add_8(Int a, Int b) { return _mm512_add_epi8(a, b); }
  static Int sub_8(Int a, Int b) { return _mm512_sub_epi8(a, b); }
  static Int add_32(Int a, Int b) { return _mm512_add_epi32(a, b); }
  static Int sub_32(Int a, Int b) { return _mm512_sub_epi32(a, b); }
  static constexpr bool kDotIn32 = true;  // see kPacked
  static Int madd_16_add(Int sum, Int a, Int b) { return _mm512_dpwssd_epi32(sum, a, b); }
  static Int madd_16(Int a, Int b) { return _mm512_madd_epi16(a, b); }
  static Int shuffle_bytes(Int table, Int index) { return _mm512_shuffle_epi8(table, index); }
  static Int min_u8(Int a, Int b) { return _mm512_min_epu8(a, b); }
  static Int saturating_sub_u8(Int a, Int b) { return _mm512_subs_epu8(a, b); }
  static Int negate_bytes_where(Int a, Int bits, Int one) {
    return _mm512_mask_sub_epi8(a, _mm512_test_epi8_mask(bits, one), zero(), a);
  }
  static Int from_signed(Int a) { return _mm512_xor_si512(a, splat_8(-128)); }

  static Float add(Float a, Float b) { return _mm512_add_ps(a, b); }
  static Float mul(Float a, Float b) { return _mm512_mul_ps(a, b); }
  static Float fma(Float a, Float b, Float c) { return _mm512_fmadd_ps(a, b, c); }
  static Float negate(Float a) {
    return float_of_bits(_mm512_xor_si512(_mm512_castps_si512(a), splat_32(static_cast<int>(0x80000000))));
  }
  static Float to_float(Int a) { return _mm512_cvtepi32_ps(a); }
  static Float float_of_bits(Int a) { return _mm512_castsi512_ps(a); }
  static Float f16_low(Int a) { return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(a)); }
  static Float f16_high(Int a) { return f16_low(_mm512_srli_epi32(a, 16)); }

  static Int low_pair(Int a) { return pairs(a, 0x01000000); }
  static Int high_pair(Int a) { return pairs(a, 0x03000200); }
  template <int I>
  static Int byte(Int a) {
    return _mm512_and_si512(_mm512_srli_epi32(a, 8 * I), splat_32(255));
  }
  // A scale in 32 bits.
  static Int first_factor(Int pair) { return _mm512_srai_epi32(_mm512_slli_epi32(pair, 16), 16); }
  static Int second_factor(Int pair) { return _mm512_srai_epi32(pair, 16); }
  static Int one_factor() { return zero(); }

  template <int N>
  static Int offset_correction(Int pairs) {
    return _mm512_madd_epi16(pairs, splat_16(-N));
  }
  static Int upper_32(Int a) { return _mm512_srli_epi64(a, 32); }
  static Int keep_in_register(Int value) { return avx512::keep_in_register(value); }
  static Int dot(Int sum, Int values, Int x) { return _mm512_dpbusd_epi32(sum, values, x); }
  static Int add_dots(Int a, Int b) { return add_32(a, b); }
  template <int kGroups>
  static Int add_run(Int isum, Int sum, Int factor) {
    return _mm512_add_epi32(isum, kGroups == 2 ? _mm512_mullo_epi32(sum, factor) : sum);
  }
  static Int dot_signed(Int sum, Int values, Int x, Int) { return dot(sum, values, x); }
  template <int kGroups>
  static Int add_run_signed(Int isum, Int sum, Int factor) {
    return add_run<kGroups>(isum, sum, factor);
  }

  template <class T>
  static Int broadcast(const T* at) {
    int32_t word;
    __builtin_memcpy(&word, at, sizeof word);
    return _mm512_set1_epi32(word);
  }
  static Float broadcast(const float* at) { return _mm512_set1_ps(*at); }

  static void load_transposed(const uint8_t* base, int64_t stride, Int* out) {
    Int v[4];
    sixteen(base, stride, v);
    transpose(v, out);
  }
  // Through memory, loads of 16 bytes would wait for the stores of 8.
  template <class Eight>
  static void transpose_rows(Eight&& eight, Int* out) {
    Int v[4];
    four_parts(
        [&](int r) { return _mm_set_epi64x(static_cast<int64_t>(eight(r, 1)), static_cast<int64_t>(eight(r, 0))); }, v);
    transpose(v, out);
  }
  static Int load_first_words(const uint8_t* base, int64_t stride) {
    Int v[4];
    sixteen(base, stride, v);
    return _mm512_unpacklo_epi64(_mm512_unpacklo_epi32(v[0], v[1]), _mm512_unpacklo_epi32(v[2], v[3]));
  }
  static Int load_last_words(const uint8_t* base, int64_t stride) {
    Int v[4];
    sixteen(base, stride, v);
    return _mm512_unpackhi_epi64(_mm512_unpackhi_epi32(v[0], v[1]), _mm512_unpackhi_epi32(v[2], v[3]));
  }

  // Lanes from `skip` on.
  static Float load(const float* p, int skip) { return _mm512_maskz_loadu_ps(mask(skip), p); }
  static void store(float* p, Float v, int skip) { _mm512_mask_storeu_ps(p, mask(skip), v); }

 private:
  static void transpose(const Int* v, Int* out) {
    const Int a = _mm512_unpacklo_epi32(v[0], v[1]), b = _mm512_unpacklo_epi32(v[2], v[3]);
    const Int c = _mm512_unpackhi_epi32(v[0], v[1]), d = _mm512_unpackhi_epi32(v[2], v[3]);
    out[0] = _mm512_unpacklo_epi64(a, b), out[1] = _mm512_unpackhi_epi64(a, b);
    out[2] = _mm512_unpacklo_epi64(c, d), out[3] = _mm512_unpackhi_epi64(c, d);
  }
  static __mmask16 mask(int skip) { return static_cast<__mmask16>(skip >= kLanes ? 0 : 0xffffu << skip); }
  static Int pairs(Int a, int pick) { return _mm512_srai_epi16(_mm512_shuffle_epi8(a, ramp_32(pick, 0x04040404)), 8); }
  static void sixteen(const uint8_t* base, int64_t stride, Int* v) {
    four_parts([&](int64_t r) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(base + r * stride)); }, v);
  }
  // Rows r, r + 4, r + 8 and r + 12 side by side.
  template <class Part>
  static void four_parts(Part&& part, Int* v) {
    for (int r = 0; r < 4; ++r) {
      const __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(part(r)), part(r + 4), 1);
      const __m256i high = _mm256_inserti128_si256(_mm256_castsi128_si256(part(r + 8)), part(r + 12), 1);
      v[r] = _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
    }
  }
};

static_assert(PackedLaneVector<Vec>);

}  // namespace
}  // namespace fieldprint::avx512
