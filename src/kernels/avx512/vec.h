// Sixteen floats, and the contract's operations on them. Internal to this folder.
#pragma once

#include "base/exp_constants.h"
#include "kernels/avx512/avx512.h"

namespace fieldprint::avx512 {
namespace {

inline __m512 load_f16(const uint16_t* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}

// Keeps a value in its register: GCC would load the starts of many sums first, or store sums at every step.
inline __m512i keep_in_register(__m512i value) {
#if !defined(FIELDPRINT_EMULATE_AVX512)  // a value is two registers there
  asm("" : "+v"(value));
#endif
  return value;
}

// exp_f32 of base/math.h, operation by operation, of N vectors in step.
template <int N>
inline void exp(__m512 (&x)[N]) {
  using C = ExpConstants;
  const auto each = [](auto&& step) __attribute__((always_inline)) {
#pragma GCC unroll 8
    for (int i = 0; i < N; ++i) step(i);
  };
  const auto all = [](float number) { return _mm512_set1_ps(number); };
  __mmask16 there[N];
  __m512 scale[N], p[N];
  each([&](int i) { there[i] = _mm512_cmp_ps_mask(x[i], all(C::kLow), _CMP_NLT_UQ); });
  each([&](int i) { x[i] = _mm512_min_ps(all(C::kHigh), x[i]); });  // in this order a NaN stays
  each([&](int i) { scale[i] = _mm512_fmadd_ps(x[i], all(C::kLog2e), all(C::kRound)); });
  each([&](int i) { p[i] = _mm512_sub_ps(scale[i], all(C::kRound)); });
  each([&](int i) { x[i] = _mm512_fmadd_ps(p[i], all(-C::kLn2High), x[i]); });
  each([&](int i) { x[i] = _mm512_fmadd_ps(p[i], all(-C::kLn2Low), x[i]); });
  each([&](int i) { p[i] = _mm512_fmadd_ps(all(C::kC6), x[i], all(C::kC5)); });
  each([&](int i) { p[i] = _mm512_fmadd_ps(p[i], x[i], all(C::kC4)); });
  each([&](int i) { p[i] = _mm512_fmadd_ps(p[i], x[i], all(C::kC3)); });
  each([&](int i) { p[i] = _mm512_fmadd_ps(p[i], x[i], all(C::kC2)); });
  each([&](int i) { p[i] = _mm512_fmadd_ps(p[i], _mm512_mul_ps(x[i], x[i]), x[i]); });
  each([&](int i) {
    scale[i] = _mm512_castsi512_ps(
        _mm512_add_epi32(_mm512_slli_epi32(_mm512_castps_si512(scale[i]), 23), _mm512_set1_epi32(0x3f800000)));
  });
  each([&](int i) { x[i] = _mm512_maskz_mov_ps(there[i], _mm512_fmadd_ps(p[i], scale[i], scale[i])); });
}

// Lanes j and j + 8, then + 4, + 2, + 1 of four vectors put together, a vector's result in all lanes of its quarter.
template <class Operation>
inline __m512 across(const __m512 (&v)[4], Operation&& operation) {
  const auto halves = [&](__m512 a, __m512 b) {
    return operation(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
  };
  const __m512 x = halves(v[0], v[1]), y = halves(v[2], v[3]);
  __m512 four = operation(_mm512_shuffle_f32x4(x, y, 0x88), _mm512_shuffle_f32x4(x, y, 0xdd));
  four = operation(four, _mm512_permute_ps(four, 0x4e));
  return operation(four, _mm512_permute_ps(four, 0xb1));
}

// The first number of each quarter.
inline __m128 quarters(__m512 v) {
  return _mm512_castps512_ps128(
      _mm512_permutexvar_ps(_mm512_setr_epi32(0, 4, 8, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), v));
}

}  // namespace
}  // namespace fieldprint::avx512
