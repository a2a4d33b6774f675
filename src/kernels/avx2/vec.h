// Eight floats, and the contract's operations on them. Internal to this folder.
#pragma once

#include <immintrin.h>

#include "base/exp_constants.h"

namespace fieldprint::avx2 {
namespace {

// The contract's tree over 16 partial sums: low = s[0..7], high = s[8..15].
inline float tree16(__m256 low, __m256 high) {
  const __m256 v = _mm256_add_ps(low, high);
  __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

// exp_f32 of base/math.h, operation by operation.
inline __m256 exp(__m256 x) {
  using C = ExpConstants;
  const __m256 below = _mm256_cmp_ps(x, _mm256_set1_ps(C::kLow), _CMP_LT_OQ);
  x = _mm256_min_ps(_mm256_set1_ps(C::kHigh), x);  // in this order a NaN stays
  const __m256 shifted = _mm256_fmadd_ps(x, _mm256_set1_ps(C::kLog2e), _mm256_set1_ps(C::kRound));
  const __m256 n = _mm256_sub_ps(shifted, _mm256_set1_ps(C::kRound));
  __m256 r = _mm256_fmadd_ps(n, _mm256_set1_ps(-C::kLn2High), x);
  r = _mm256_fmadd_ps(n, _mm256_set1_ps(-C::kLn2Low), r);
  __m256 p = _mm256_fmadd_ps(_mm256_set1_ps(C::kC6), r, _mm256_set1_ps(C::kC5));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(C::kC4));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(C::kC3));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(C::kC2));
  p = _mm256_fmadd_ps(p, _mm256_mul_ps(r, r), r);
  const __m256i bits =
      _mm256_add_epi32(_mm256_slli_epi32(_mm256_castps_si256(shifted), 23), _mm256_set1_epi32(0x3f800000));
  const __m256 scale = _mm256_castsi256_ps(bits);
  return _mm256_andnot_ps(below, _mm256_fmadd_ps(p, scale, scale));
}

// Lanes i < count.
inline __m256i lane_mask(int count) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

}  // namespace
}  // namespace fieldprint::avx2
