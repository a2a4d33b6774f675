// Attention's products in integers, of keys and values in Q8_0: VNNI adds four of an unsigned and a signed byte to 32
// bits, exactly.
#include "kernels/avx512/avx512.h"
#include "kernels/avx512/vec.h"
#include "kernels/lanes/attention.h"

namespace fieldprint::avx512 {
namespace {

inline __m512i word(const void* four) {  // in every lane
  int32_t bytes;
  __builtin_memcpy(&bytes, four, sizeof bytes);
  return _mm512_set1_epi32(bytes);
}

inline void add_products(__m512i& sum, __m512i unsigned_bytes, __m512i signed_bytes) {
  sum = keep_in_register(_mm512_dpbusd_epi32(sum, unsigned_bytes, signed_bytes));
}

// M rows by all keys. Keys become unsigned by an offset of 128, and the sums begin at minus its share.
template <int M>
inline void score_rows(const ByteScores& p, int row, Prefetcher& prefetcher) {
  constexpr int kColumns = kTileKeys / 16;
  const __m512i offset = _mm512_set1_epi8(-128);
  const int blocks = p.d / 32;
  const int8_t* q = p.q + int64_t{row} * p.d;
  const int8_t* keys = p.keys;
  const int64_t q_stride = p.d, keys_stride = 4 * p.stride;
  float* c = p.c + row * kTileKeys;
  Prefetcher prefetch = prefetcher;  // a copy: it stays in registers
  for (int b = 0; b < blocks; ++b) {
    __m512i sums[M][kColumns];
#pragma GCC unroll 8
    for (int i = 0; i < M; ++i) {
#pragma GCC unroll 4
      for (int j = 0; j < kColumns; ++j) sums[i][j] = _mm512_set1_epi32(-128 * p.q_sums[int64_t{row + i} * blocks + b]);
    }
#pragma GCC unroll 1
    for (int w = 0; w < 8; ++w, q += 4, keys += keys_stride) {
      prefetch();
      __m512i k[kColumns];
#pragma GCC unroll 4
      for (int j = 0; j < kColumns; ++j) k[j] = _mm512_xor_si512(_mm512_loadu_si512(keys + 64 * j), offset);
#pragma GCC unroll 8
      for (int i = 0; i < M; ++i) {
        const __m512i four = word(q + i * q_stride);
#pragma GCC unroll 4
        for (int j = 0; j < kColumns; ++j) add_products(sums[i][j], k[j], four);
      }
    }
    const auto not_first = static_cast<__mmask16>(b == 0 ? 0 : ~0);
#pragma GCC unroll 4
    for (int j = 0; j < kColumns; ++j) {
      const __m512 scale = Floats::load_f16(p.key_scales + b * p.stride + 16 * j);
#pragma GCC unroll 8
      for (int i = 0; i < M; ++i) {
        float* to = c + i * kTileKeys + 16 * j;
        const __m512 by = _mm512_mul_ps(_mm512_set1_ps(p.q_scales[int64_t{row + i} * blocks + b]), scale);
        const __m512 before = _mm512_maskz_loadu_ps(not_first, to);
        _mm512_storeu_ps(to, _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums[i][j]), by, before));
      }
    }
  }
  prefetcher = prefetch;
}

// Weights in 8 bits for the next B blocks of 32 dimensions.
template <int M, int B>
struct ByteWeights {
  static constexpr int kParts = kTileKeys / 16;
  static constexpr int kAll = (M * B + 3) / 4 * 4;  // row by row, block by block

  alignas(64) uint8_t bytes[M * B][kTileKeys];
  float scales[kAll];

  inline ByteWeights(const ByteValues& p, int row, int block) {
    float products[M * B][kTileKeys], inverses[kAll];
    __m512 top[kAll] = {};
#pragma GCC unroll 2
    for (int b = 0; b < B; ++b) {
      __m512 of_values[kParts];
#pragma GCC unroll 4
      for (int i = 0; i < kParts; ++i) of_values[i] = Floats::load_f16(p.scales + (block + b) * p.stride + 16 * i);
#pragma GCC unroll 8
      for (int r = 0; r < M; ++r) {
        const float* weights = p.weights + (row + r) * kTileKeys;
        const int count = p.seen[row + r];
        const __mmask64 seen = count == 0 ? 0 : ~__mmask64{0} >> (kTileKeys - count);
        __m512 w[kParts];
#pragma GCC unroll 4
        for (int i = 0; i < kParts; ++i) {
          const __m512 product = _mm512_mul_ps(_mm512_loadu_ps(weights + 16 * i), of_values[i]);
          w[i] = _mm512_maskz_max_ps(static_cast<__mmask16>(seen >> (16 * i)), product, _mm512_setzero_ps());
          _mm512_storeu_ps(products[r * B + b] + 16 * i, w[i]);
        }
        top[r * B + b] = _mm512_max_ps(_mm512_max_ps(w[0], w[1]), _mm512_max_ps(w[2], w[3]));
      }
    }
    const __m128 most = _mm_set1_ps(255.0f);
#pragma GCC unroll 4
    for (int i = 0; i < kAll; i += 4) {
      const __m512 four[4] = {top[i], top[i + 1], top[i + 2], top[i + 3]};
      const __m128 tops = quarters(across(four, [](__m512 a, __m512 b) { return _mm512_max_ps(a, b); }));
      const __m128 there = _mm_cmpge_ps(tops, _mm_set1_ps(kLeastActivation));
      _mm_storeu_ps(scales + i, _mm_and_ps(there, _mm_div_ps(tops, most)));
      _mm_storeu_ps(inverses + i, _mm_and_ps(there, _mm_div_ps(most, tops)));
    }
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
#pragma GCC unroll 1
    for (int i = 0; i < M * B; ++i) {
      const __m512 inverse = _mm512_set1_ps(inverses[i]);
      __m512i steps[kParts];
#pragma GCC unroll 4
      for (int j = 0; j < kParts; ++j)
        steps[j] = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(products[i] + 16 * j), inverse));
      const __m512i packed =
          _mm512_packus_epi16(_mm512_packus_epi32(steps[0], steps[1]), _mm512_packus_epi32(steps[2], steps[3]));
      _mm512_store_si512(bytes[i], _mm512_permutexvar_epi32(order, packed));
    }
  }
};

// M rows by 32 * B dimensions from block `block` on.
template <int M, int B>
inline void value_rows(const ByteValues& p, int row, int block, int keys, Prefetcher& prefetcher) {
  const ByteWeights<M, B> weights(p, row, block);
  __m512i sums[M][2 * B];
#pragma GCC unroll 8
  for (int i = 0; i < M; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < 2 * B; ++j) sums[i][j] = _mm512_setzero_si512();
  }
  const int8_t* values = p.values + block * 128;
  const int64_t values_stride = 4 * p.d;
  Prefetcher prefetch = prefetcher;
#pragma GCC unroll 1
  for (int j0 = 0; j0 < keys; j0 += 4, values += values_stride) {
    prefetch();
    __m512i v[2 * B];
#pragma GCC unroll 4
    for (int j = 0; j < 2 * B; ++j) v[j] = _mm512_loadu_si512(values + 64 * j);
#pragma GCC unroll 8
    for (int i = 0; i < M; ++i) {
#pragma GCC unroll 2
      for (int b = 0; b < B; ++b) {
        const __m512i four = word(weights.bytes[i * B + b] + j0);
        add_products(sums[i][2 * b], four, v[2 * b]);
        add_products(sums[i][2 * b + 1], four, v[2 * b + 1]);
      }
    }
  }
  prefetcher = prefetch;
#pragma GCC unroll 8
  for (int i = 0; i < M; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < 2 * B; ++j) {
      float* to = p.c + int64_t{row + i} * p.d + block * 32 + 16 * j;
      const __m512 scale = _mm512_set1_ps(weights.scales[i * B + j / 2]);
      _mm512_storeu_ps(to, _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums[i][j]), scale, _mm512_loadu_ps(to)));
    }
  }
}

}  // namespace

void score_bytes(const ByteScores& p) {
  Prefetcher prefetcher(p.prefetch, int64_t{row_blocks(p.m)} * (p.d / 4));
  for_row_blocks(p.m, [&]<int M>(int row) { score_rows<M>(p, row, prefetcher); });
}

void add_byte_values(const ByteValues& p) {
  const int blocks = p.d / 32;
  Prefetcher prefetcher(p.prefetch, int64_t{row_blocks(p.m)} * ((blocks + 1) / 2) * (kTileKeys / 4));
  for_row_blocks(p.m, [&]<int M>(int row) {
    int keys = 0;
    for (int i = 0; i < M; ++i) keys = p.seen[row + i] > keys ? p.seen[row + i] : keys;
    int b = 0;
    for (; b + 2 <= blocks; b += 2) value_rows<M, 2>(p, row, b, keys, prefetcher);
    if (b < blocks) value_rows<M, 1>(p, row, b, keys, prefetcher);
  });
}

}  // namespace fieldprint::avx512
