// Eight floats, and the contract's operations on them. Internal to this folder.
#pragma once

#include <immintrin.h>

#include "base/exp_constants.h"

namespace fieldprint::avx2 {
namespace {

inline __m256 load_f16(const uint16_t* p) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}

// The contract's tree over 16 partial sums: low = s[0..7], high = s[8..15].
inline float tree16(__m256 low, __m256 high) {
  const __m256 v = _mm256_add_ps(low, high);
  __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

inline float largest8(__m256 v) {
  __m128 four = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  four = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(four, _mm_movehdup_ps(four)));
}

// exp_f32 of base/math.h, operation by operation, of N vectors in step: one after the other they would fill the
// scheduler with operations that wait for each other.
template <int N>
inline void exp(__m256 (&x)[N]) {
  using C = ExpConstants;
  const auto each = [](auto&& step) {
#pragma GCC unroll 8
    for (int i = 0; i < N; ++i) step(i);
  };
  __m256 below[N], scale[N], p[N];
  each([&](int i) { below[i] = _mm256_cmp_ps(x[i], _mm256_set1_ps(C::kLow), _CMP_LT_OQ); });
  each([&](int i) { x[i] = _mm256_min_ps(_mm256_set1_ps(C::kHigh), x[i]); });  // in this order a NaN stays
  each([&](int i) { scale[i] = _mm256_fmadd_ps(x[i], _mm256_set1_ps(C::kLog2e), _mm256_set1_ps(C::kRound)); });
  each([&](int i) {
    x[i] = _mm256_fmadd_ps(_mm256_sub_ps(scale[i], _mm256_set1_ps(C::kRound)), _mm256_set1_ps(-C::kLn2High), x[i]);
  });
  each([&](int i) {
    x[i] = _mm256_fmadd_ps(_mm256_sub_ps(scale[i], _mm256_set1_ps(C::kRound)), _mm256_set1_ps(-C::kLn2Low), x[i]);
  });
  each([&](int i) { p[i] = _mm256_fmadd_ps(_mm256_set1_ps(C::kC6), x[i], _mm256_set1_ps(C::kC5)); });
  each([&](int i) { p[i] = _mm256_fmadd_ps(p[i], x[i], _mm256_set1_ps(C::kC4)); });
  each([&](int i) { p[i] = _mm256_fmadd_ps(p[i], x[i], _mm256_set1_ps(C::kC3)); });
  each([&](int i) { p[i] = _mm256_fmadd_ps(p[i], x[i], _mm256_set1_ps(C::kC2)); });
  each([&](int i) { p[i] = _mm256_fmadd_ps(p[i], _mm256_mul_ps(x[i], x[i]), x[i]); });
  each([&](int i) {
    const __m256i bits =
        _mm256_add_epi32(_mm256_slli_epi32(_mm256_castps_si256(scale[i]), 23), _mm256_set1_epi32(0x3f800000));
    scale[i] = _mm256_castsi256_ps(bits);
  });
  each([&](int i) { x[i] = _mm256_andnot_ps(below[i], _mm256_fmadd_ps(p[i], scale[i], scale[i])); });
}

inline __m256 exp(__m256 x) {
  __m256 one[1] = {x};
  exp(one);
  return one[0];
}

// Lanes i < count.
inline __m256i lane_mask(int count) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

}  // namespace
}  // namespace fieldprint::avx2
