// Peak probes: multiplications without memory, the most that the arithmetic units do. Integers as the exact kernels use
// them: products of bytes in pairs, added in 16 bits.
#include <immintrin.h>

#include "kernels/avx2/avx2.h"

namespace fieldprint::avx2 {

int64_t peak_int8(int64_t rounds, int64_t* sink) {
  constexpr int kChains = 10;
  __m256i sum[kChains];
  for (int j = 0; j < kChains; ++j) sum[j] = _mm256_set1_epi8(static_cast<char>(j));  // equal chains would become one
  const __m256i a = _mm256_set1_epi8(3);
  for (int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 10
    for (int j = 0; j < kChains; ++j) sum[j] = _mm256_add_epi16(sum[j], _mm256_maddubs_epi16(a, sum[j]));
  }
  for (const __m256i s : sum) *sink += _mm256_extract_epi32(s, 0);
  return rounds * kChains * 32 * 2;
}

int64_t peak_f32(int64_t rounds, int64_t* sink) {
  constexpr int kChains = 10;
  __m256 sum[kChains];
  for (int j = 0; j < kChains; ++j) sum[j] = _mm256_set1_ps(static_cast<float>(j));
  const __m256 a = _mm256_set1_ps(0.5f), b = _mm256_set1_ps(0.25f);
  for (int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 10
    for (int j = 0; j < kChains; ++j) sum[j] = _mm256_fmadd_ps(a, b, sum[j]);
  }
  for (const __m256 s : sum) *sink += static_cast<int64_t>(_mm256_cvtss_f32(s));
  return rounds * kChains * 8 * 2;
}

}  // namespace fieldprint::avx2
