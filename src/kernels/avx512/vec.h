// Sixteen floats, and the contract's operations on them. Internal to this folder.
#pragma once

#include "kernels/avx512/avx512.h"
#include "kernels/lanes/exp.h"

namespace fieldprint::avx512 {
namespace {

struct Floats {
  using Vector = __m512;
  using Mask = __mmask16;  // of the lanes that clear() leaves
  static constexpr int kLanes = 16;

  static Vector zero() { return _mm512_setzero_ps(); }
  static Vector splat(float x) { return _mm512_set1_ps(x); }
  static Vector load(const float* p) { return _mm512_loadu_ps(p); }
  static Vector load_f16(const uint16_t* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static Vector load_bf16(const uint16_t* p) {
    const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
  }
  static void store(float* p, Vector v) { _mm512_storeu_ps(p, v); }

  static Vector add(Vector a, Vector b) { return _mm512_add_ps(a, b); }
  static Vector sub(Vector a, Vector b) { return _mm512_sub_ps(a, b); }
  static Vector mul(Vector a, Vector b) { return _mm512_mul_ps(a, b); }
  static Vector div(Vector a, Vector b) { return _mm512_div_ps(a, b); }
  static Vector fma(Vector a, Vector b, Vector c) { return _mm512_fmadd_ps(a, b, c); }
  static Vector negate(Vector a) { return _mm512_xor_ps(a, _mm512_set1_ps(-0.0f)); }
  static Vector min(Vector a, Vector b) { return _mm512_min_ps(a, b); }
  static Vector power_of_two(Vector a) {
    return _mm512_castsi512_ps(
        _mm512_add_epi32(_mm512_slli_epi32(_mm512_castps_si512(a), 23), _mm512_set1_epi32(0x3f800000)));
  }
  static Mask below(Vector a, Vector b) { return _mm512_cmp_ps_mask(a, b, _CMP_NLT_UQ); }
  static Vector clear(Mask mask, Vector v) { return _mm512_maskz_mov_ps(mask, v); }
};
static_assert(FloatVector<Floats>);

// Keeps a value in its register: GCC would load the starts of many sums first, or store sums at every step.
inline __m512i keep_in_register(__m512i value) {
#if !defined(FIELDPRINT_EMULATE_AVX512)  // a value is two registers there
  asm("" : "+v"(value));
#endif
  return value;
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
