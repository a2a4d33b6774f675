// Attention's products in integers, of keys and values in Q8_0, eight columns a register. Exact: sums that would not
// fit are widened to 16 bits first.
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/vec.h"
#include "kernels/lanes/attention.h"

namespace fieldprint::avx2 {
namespace {

constexpr int kRows = 4;      // a block, by two registers of columns: eight sums and their operands
constexpr int kColumns = 16;  // a block

inline __m256i bytes(const int8_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
inline __m256i word(const void* four) {  // in every lane
  int32_t bits;
  __builtin_memcpy(&bits, four, sizeof bits);
  return _mm256_set1_epi32(bits);
}

// M rows by kColumns keys from `column` on. Products of bytes take one of them unsigned: keys give their sign to q.
template <int M>
inline void score_rows(const ByteScores& p, int row, int column, Prefetcher& prefetcher) {
  const __m256i ones = _mm256_set1_epi16(1);
  const int blocks = p.d / 32;
  const int8_t *q = p.q + int64_t{row} * p.d, *keys = p.keys + 4 * column;
  const int64_t q_stride = p.d, keys_stride = 4 * p.stride;
  Prefetcher prefetch = prefetcher;  // a copy: it stays in registers
  for (int b = 0; b < blocks; ++b) {
    __m256i sums[M][2];
#pragma GCC unroll 4
    for (int i = 0; i < M; ++i) sums[i][0] = sums[i][1] = _mm256_setzero_si256();
#pragma GCC unroll 1
    for (int w = 0; w < 8; ++w, q += 4, keys += keys_stride) {
      prefetch();
#pragma GCC unroll 2
      for (int j = 0; j < 2; ++j) {
        const __m256i k = bytes(keys + 32 * j), magnitude = _mm256_abs_epi8(k);
#pragma GCC unroll 4
        for (int i = 0; i < M; ++i) {
          const __m256i pairs = _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(word(q + i * q_stride), k));
          sums[i][j] = _mm256_add_epi32(sums[i][j], _mm256_madd_epi16(pairs, ones));
        }
      }
    }
#pragma GCC unroll 2
    for (int j = 0; j < 2; ++j) {
      const __m256 scale = Floats::load_f16(p.key_scales + b * p.stride + column + 8 * j);
#pragma GCC unroll 4
      for (int i = 0; i < M; ++i) {
        float* to = p.c + (row + i) * kTileKeys + column + 8 * j;
        const __m256 by = _mm256_mul_ps(_mm256_broadcast_ss(p.q_scales + int64_t{row + i} * blocks + b), scale);
        const __m256 before = b == 0 ? _mm256_setzero_ps() : _mm256_loadu_ps(to);
        _mm256_storeu_ps(to, _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums[i][j]), by, before));
      }
    }
  }
  prefetcher = prefetch;
}

// Weights in 8 bits for a block of 32 dimensions, widened: four keys as 0, 2 and 1, 3.
template <int M>
struct ByteWeights {
  alignas(32) uint16_t words[M][kTileKeys];
  float scales[M];

  inline __attribute__((always_inline)) ByteWeights(const ByteValues& p, int row, int block) {
    const __m256i order = _mm256_setr_epi8(0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15, 0, 1, 4, 5, 2, 3, 6, 7,
                                           8, 9, 12, 13, 10, 11, 14, 15);
    for (int r = 0; r < M; ++r) {
      const float* weights = p.weights + (row + r) * kTileKeys;
      __m256 w[8], top = _mm256_setzero_ps();
      for (int i = 0; i < 8; ++i) {
        const __m256i seen = lane_mask(p.seen[row + r] - 8 * i);
        const __m256 product =
            _mm256_mul_ps(_mm256_loadu_ps(weights + 8 * i), Floats::load_f16(p.scales + block * p.stride + 8 * i));
        w[i] = _mm256_and_ps(_mm256_max_ps(product, _mm256_setzero_ps()), _mm256_castsi256_ps(seen));
        top = _mm256_max_ps(top, w[i]);
      }
      float largest = largest8(top);
      if (largest < kLeastActivation) largest = 0;
      scales[r] = largest / 255.0f;
      const __m256 inverse = _mm256_set1_ps(largest > 0 ? 255.0f / largest : 0.0f);
      for (int i = 0; i < 8; i += 2) {
        const __m256i a = _mm256_cvtps_epi32(_mm256_mul_ps(w[i], inverse)),
                      b = _mm256_cvtps_epi32(_mm256_mul_ps(w[i + 1], inverse));
        const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(a, b), 0xd8);
        _mm256_store_si256(reinterpret_cast<__m256i*>(words[r] + 8 * i), _mm256_shuffle_epi8(packed, order));
      }
    }
  }
};

// M rows by kColumns dimensions from `column` on.
template <int M>
inline void value_rows(const ByteValues& p, const ByteWeights<M>& weights, int row, int column, int keys,
                       Prefetcher& prefetcher) {
  __m256i sums[M][2];
#pragma GCC unroll 4
  for (int i = 0; i < M; ++i) sums[i][0] = sums[i][1] = _mm256_setzero_si256();
  const int8_t* values = p.values + 4 * column;
  const int64_t values_stride = 4 * p.d;
  Prefetcher prefetch = prefetcher;
#pragma GCC unroll 1
  for (int key = 0; key < keys; key += 4, values += values_stride) {
    prefetch();
#pragma GCC unroll 2
    for (int j = 0; j < 2; ++j) {
      const __m256i v = bytes(values + 32 * j);
      const __m256i even = _mm256_srai_epi16(_mm256_slli_epi16(v, 8), 8), odd = _mm256_srai_epi16(v, 8);
#pragma GCC unroll 4
      for (int i = 0; i < M; ++i) {
        const uint16_t* four = weights.words[i] + key;
        sums[i][j] = _mm256_add_epi32(sums[i][j], _mm256_madd_epi16(even, word(four)));
        sums[i][j] = _mm256_add_epi32(sums[i][j], _mm256_madd_epi16(odd, word(four + 2)));
      }
    }
  }
  prefetcher = prefetch;
#pragma GCC unroll 4
  for (int i = 0; i < M; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < 2; ++j) {
      float* to = p.c + int64_t{row + i} * p.d + column + 8 * j;
      const __m256 sum = _mm256_cvtepi32_ps(sums[i][j]);
      _mm256_storeu_ps(to, _mm256_fmadd_ps(sum, _mm256_broadcast_ss(weights.scales + i), _mm256_loadu_ps(to)));
    }
  }
}

}  // namespace

void score_bytes(const ByteScores& p) {
  Prefetcher prefetcher(p.prefetch, int64_t{kTileKeys / kColumns} * row_blocks<kRows>(p.m) * (p.d / 4));
  for (int j = 0; j < kTileKeys; j += kColumns)
    for_row_blocks<kRows>(p.m, [&]<int M>(int row) { score_rows<M>(p, row, j, prefetcher); });
}

void add_byte_values(const ByteValues& p) {
  Prefetcher prefetcher(p.prefetch, int64_t{p.d / kColumns} * row_blocks<kRows>(p.m) * (kTileKeys / 4));
  for_row_blocks<kRows>(p.m, [&]<int M>(int row) {
    int keys = 0;
    for (int i = 0; i < M; ++i) keys = p.seen[row + i] > keys ? p.seen[row + i] : keys;
    for (int b = 0; b < p.d / 32; ++b) {
      const ByteWeights<M> weights(p, row, b);
      for (int j = 0; j < 32; j += kColumns) value_rows<M>(p, weights, row, b * 32 + j, keys, prefetcher);
    }
  });
}

}  // namespace fieldprint::avx2
