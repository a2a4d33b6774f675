// Peak probes: multiplications without memory, the most that the arithmetic units do.
#include "kernels/avx512/avx512.h"

namespace fieldprint::avx512 {

int64_t peak_int8(int64_t rounds, int64_t* sink) {
  constexpr int kChains = 16;
  __m512i sum[kChains];
  for (int j = 0; j < kChains; ++j) sum[j] = _mm512_set1_epi8(static_cast<char>(j));  // equal chains would become one
  const __m512i a = _mm512_set1_epi8(3), b = _mm512_set1_epi8(5);
  for (int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 16
    for (int j = 0; j < kChains; ++j) sum[j] = _mm512_dpbusd_epi32(sum[j], a, b);
  }
  for (const __m512i s : sum) *sink += _mm_cvtsi128_si32(_mm512_castsi512_si128(s));
  return rounds * kChains * 64 * 2;
}

int64_t peak_f32(int64_t rounds, int64_t* sink) {
  constexpr int kChains = 16;
  __m512 sum[kChains];
  for (int j = 0; j < kChains; ++j) sum[j] = _mm512_set1_ps(static_cast<float>(j));
  const __m512 a = _mm512_set1_ps(0.5f), b = _mm512_set1_ps(0.25f);
  for (int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 16
    for (int j = 0; j < kChains; ++j) sum[j] = _mm512_fmadd_ps(a, b, sum[j]);
  }
  for (const __m512 s : sum) *sink += static_cast<int64_t>(_mm_cvtss_f32(_mm512_castps512_ps128(s)));
  return rounds * kChains * 16 * 2;
}

}  // namespace fieldprint::avx512
