// AVX-512 in software, for tests on CPUs without it: SIMDe, and the few intrinsics we use that SIMDe 0.7.4 lacks, made
// of AVX2 halves.
#pragma once

#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>
#include <simde/x86/f16c.h>
#include <simde/x86/fma.h>

namespace fieldprint::avx512::emulated {
namespace {

inline __m512 join(__m256 low, __m256 high) {
  return _mm512_castpd_ps(_mm512_insertf64x4(_mm512_castps_pd(_mm512_castps256_ps512(low)), _mm256_castps_pd(high), 1));
}

inline __m256 high_half(__m512 v) { return _mm256_castsi256_ps(_mm512_extracti64x4_epi64(_mm512_castps_si512(v), 1)); }

template <int N>
inline __m512 permute_ps(__m512 v) {
  return join(_mm256_permute_ps(_mm512_castps512_ps256(v), N), _mm256_permute_ps(high_half(v), N));
}

template <int N>
inline __m512 shuffle_f32x4(__m512 a, __m512 b) {
  return _mm512_castsi512_ps(simde_mm512_shuffle_i32x4(_mm512_castps_si512(a), _mm512_castps_si512(b), N));
}

inline __m512 cvtph_ps(__m256i h) {
  return join(_mm256_cvtph_ps(_mm256_castsi256_si128(h)), _mm256_cvtph_ps(_mm256_extracti128_si256(h, 1)));
}

inline __m512 cvtepi32_ps(__m512i v) {
  return join(_mm256_cvtepi32_ps(_mm512_castsi512_si256(v)), _mm256_cvtepi32_ps(_mm512_extracti64x4_epi64(v, 1)));
}

inline __m512i cvtps_epi32(__m512 v) {
  return _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_cvtps_epi32(_mm512_castps512_ps256(v))),
                            _mm256_cvtps_epi32(high_half(v)), 1);
}

inline __m512i cvtepu16_epi32(__m256i v) {
  const __m256i low = _mm256_cvtepu16_epi32(_mm256_castsi256_si128(v)),
                high = _mm256_cvtepu16_epi32(_mm256_extracti128_si256(v, 1));
  return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

inline __m256i cvtepi32_epi16(__m512i v) {
  const __m256i low = _mm512_castsi512_si256(v), high = _mm512_extracti64x4_epi64(v, 1),
                part = _mm256_set1_epi32(0xffff);
  return _mm256_permute4x64_epi64(_mm256_packus_epi32(_mm256_and_si256(low, part), _mm256_and_si256(high, part)), 0xd8);
}

inline __m512i srai_epi32(__m512i v, int n) {
  const __m128i count = _mm_cvtsi32_si128(n);
  const __m256i low = _mm256_sra_epi32(_mm512_castsi512_si256(v), count),
                high = _mm256_sra_epi32(_mm512_extracti64x4_epi64(v, 1), count);
  return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

inline __m512 maskz_loadu_ps(unsigned mask, const float* p) {
  alignas(64) float lanes[16] = {};
  for (int i = 0; i < 16; ++i) {
    if (mask >> i & 1) lanes[i] = p[i];
  }
  return _mm512_load_ps(lanes);
}

inline void mask_storeu_ps(float* p, unsigned mask, __m512 v) {
  alignas(64) float lanes[16];
  _mm512_store_ps(lanes, v);
  for (int i = 0; i < 16; ++i) {
    if (mask >> i & 1) p[i] = lanes[i];
  }
}

}  // namespace
}  // namespace fieldprint::avx512::emulated

#undef _mm512_madd_epi16  // SIMDe gives its macro four arguments
#define _mm512_madd_epi16 simde_mm512_madd_epi16
#define _mm512_cvtph_ps emulated::cvtph_ps
#define _mm512_cvtepi32_ps emulated::cvtepi32_ps
#define _mm512_cvtps_epi32 emulated::cvtps_epi32
#define _mm512_cvtepi32_epi16 emulated::cvtepi32_epi16
#define _mm512_srai_epi32 emulated::srai_epi32
#undef _mm512_shuffle_f32x4
#define _mm512_shuffle_f32x4(a, b, n) emulated::shuffle_f32x4<n>(a, b)
#define _mm512_permute_ps(v, n) emulated::permute_ps<n>(v)
#define _mm512_cvtepu16_epi32 emulated::cvtepu16_epi32
#define _mm512_maskz_loadu_ps emulated::maskz_loadu_ps
#define _mm512_mask_storeu_ps emulated::mask_storeu_ps
