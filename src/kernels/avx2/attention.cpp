// What attention does with a tile: K and V as float32, the two products, the softmax.
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/vec.h"
#include "kernels/scalar/scalar.h"

namespace fieldprint::avx2 {
namespace {

inline __m256 load(const float* p) { return _mm256_loadu_ps(p); }
inline __m256 load(const uint16_t* p) { return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))); }

// M rows by 8 * C columns of c stay in registers while the inner index runs. Without the pragmas GCC keeps the sums in
// memory: a quarter of the speed.
template <int M, int C, class B>
inline void block(const float* a, int64_t a_stride, const B* b, int64_t b_stride, float* c, int64_t c_stride,
                  int inner) {
  __m256 acc[M][C];
#pragma GCC unroll 8
  for (int i = 0; i < M; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < C; ++j) acc[i][j] = _mm256_loadu_ps(c + i * c_stride + 8 * j);
  }
  for (int k = 0; k < inner; ++k, ++a, b += b_stride) {
    __m256 column[C];
#pragma GCC unroll 8
    for (int j = 0; j < C; ++j) column[j] = load(b + 8 * j);
#pragma GCC unroll 8
    for (int i = 0; i < M; ++i) {
      const __m256 factor = _mm256_broadcast_ss(a + i * a_stride);
#pragma GCC unroll 8
      for (int j = 0; j < C; ++j) acc[i][j] = _mm256_fmadd_ps(factor, column[j], acc[i][j]);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < M; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < C; ++j) _mm256_storeu_ps(c + i * c_stride + 8 * j, acc[i][j]);
  }
}

// Six rows by two registers: twelve sums hide the latency of the multipliers, and a row of b is read once for six.
template <int C, class B>
inline void columns(const float* a, int64_t a_stride, const B* b, int64_t b_stride, float* c, int64_t c_stride, int m,
                    int inner) {
  for (; m >= 6; m -= 6, a += 6 * a_stride, c += 6 * c_stride)
    block<6, C>(a, a_stride, b, b_stride, c, c_stride, inner);
  switch (m) {
    case 5:
      return block<5, C>(a, a_stride, b, b_stride, c, c_stride, inner);
    case 4:
      return block<4, C>(a, a_stride, b, b_stride, c, c_stride, inner);
    case 3:
      return block<3, C>(a, a_stride, b, b_stride, c, c_stride, inner);
    case 2:
      return block<2, C>(a, a_stride, b, b_stride, c, c_stride, inner);
    case 1:
      return block<1, C>(a, a_stride, b, b_stride, c, c_stride, inner);
    default:
      return;
  }
}

template <class B>
inline void accumulate_part(const float* a, int64_t a_stride, const B* b, int64_t b_stride, float* c, int64_t c_stride,
                            int m, int inner, int n) {
  int i = 0;
  if (m <= 3) {  // few rows: more columns keep the multipliers busy
    for (; i + 32 <= n; i += 32) columns<4>(a, a_stride, b + i, b_stride, c + i, c_stride, m, inner);
  }
  for (; i + 16 <= n; i += 16) columns<2>(a, a_stride, b + i, b_stride, c + i, c_stride, m, inner);
  for (; i < n; i += 8) columns<1>(a, a_stride, b + i, b_stride, c + i, c_stride, m, inner);
}

// Rows of b lie a power of two apart: more of them than this share the same sets of the first cache, and would drive
// each other out while many rows of a want them.
constexpr int64_t kPanelReach = 16 << 10;

template <class B>
inline void accumulate_any(const float* a, int64_t a_stride, const B* b, int64_t b_stride, float* c, int64_t c_stride,
                           int m, int inner, int n) {
  const int64_t fit = kPanelReach / (b_stride * static_cast<int64_t>(sizeof(B)));
  const int part = m <= 6 || fit >= inner ? inner : fit < 16 ? 16 : static_cast<int>(fit);
  for (int k = 0; k < inner; k += part) {
    accumulate_part(a + k, a_stride, b + k * b_stride, b_stride, c, c_stride, m, inner - k < part ? inner - k : part,
                    n);
  }
}

inline __m256 bf16(const uint16_t* p) {
  const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}

inline __m256 int8(const int8_t* p) {
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
}

}  // namespace

void widen_f16(const uint16_t* in, int64_t in_stride, float* out, int64_t out_stride, int rows, int columns) {
  const int whole = columns & ~7;
  for (int i = 0; i < rows; ++i) {
    for (int j = 0; j < whole; j += 8) _mm256_storeu_ps(out + i * out_stride + j, load(in + i * in_stride + j));
  }
  if (whole < columns) scalar::widen_f16(in + whole, in_stride, out + whole, out_stride, rows, columns - whole);
}

void widen_bf16(const uint16_t* in, int64_t in_stride, float* out, int64_t out_stride, int rows, int columns) {
  const int whole = columns & ~7;
  for (int i = 0; i < rows; ++i) {
    for (int j = 0; j < whole; j += 8) _mm256_storeu_ps(out + i * out_stride + j, bf16(in + i * in_stride + j));
  }
  if (whole < columns) scalar::widen_bf16(in + whole, in_stride, out + whole, out_stride, rows, columns - whole);
}

void widen_q8_keys(const int8_t* in, const uint16_t* scales, int64_t in_stride, float* out, int64_t out_stride,
                   int rows, int columns) {
  const int whole = columns & ~7;
  for (int first = 0; first < rows; first += 32) {
    for (int j = 0; j < whole; j += 8) {
      const __m256 scale = load(scales + first / 32 * in_stride + j);
      for (int i = first; i < first + 32; ++i)
        _mm256_storeu_ps(out + i * out_stride + j, _mm256_mul_ps(scale, int8(in + i * in_stride + j)));
    }
  }
  if (whole < columns)
    scalar::widen_q8_keys(in + whole, scales + whole, in_stride, out + whole, out_stride, rows, columns - whole);
}

void widen_q8_values(const int8_t* in, const uint16_t* scales, float* out, int rows, int columns) {
  const int blocks = rows * columns / 32;
  for (int b = 0; b < blocks; ++b, in += 32, out += 32) {
    const __m256 scale = _mm256_broadcastss_ps(_mm_cvtph_ps(_mm_cvtsi32_si128(scales[b])));
    for (int i = 0; i < 32; i += 8) _mm256_storeu_ps(out + i, _mm256_mul_ps(scale, int8(in + i)));
  }
}

void column_squares(const float* b, int64_t b_stride, float* c, int inner, int n) {
  int j = 0;
  for (; j + 64 <= n; j += 64) {
    __m256 sum[8];
    for (int v = 0; v < 8; ++v) sum[v] = load(c + j + 8 * v);
    for (int i = 0; i < inner; ++i) {
      for (int v = 0; v < 8; ++v) {
        const __m256 x = load(b + i * b_stride + j + 8 * v);
        sum[v] = _mm256_fmadd_ps(x, x, sum[v]);
      }
    }
    for (int v = 0; v < 8; ++v) _mm256_storeu_ps(c + j + 8 * v, sum[v]);
  }
  for (; j < n; j += 8) {
    __m256 sum = load(c + j);
    for (int i = 0; i < inner; ++i) {
      const __m256 x = load(b + i * b_stride + j);
      sum = _mm256_fmadd_ps(x, x, sum);
    }
    _mm256_storeu_ps(c + j, sum);
  }
}

void accumulate(const float* a, int64_t a_stride, const uint16_t* b, int64_t b_stride, float* c, int64_t c_stride,
                int m, int inner, int n) {
  accumulate_any(a, a_stride, b, b_stride, c, c_stride, m, inner, n);
}

void accumulate_f32(const float* a, int64_t a_stride, const float* b, int64_t b_stride, float* c, int64_t c_stride,
                    int m, int inner, int n) {
  accumulate_any(a, a_stride, b, b_stride, c, c_stride, m, inner, n);
}

namespace {

// softmax_tile of a tile's first `count` places, all 64 of them where kFull: then nothing is masked, which costs more
// than the arithmetic (stores under a mask are microcode on some CPUs).
template <bool kFull>
inline float softmax(float* s, int count, float scale, float* m, float* l) {
  const int n = kFull ? 64 : count;
  __m256 v[8];
  const __m256 nothing = _mm256_set1_ps(-__builtin_inff()), factor = _mm256_set1_ps(scale);
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    if (kFull) {
      v[i] = _mm256_mul_ps(load(s + 8 * i), factor);
    } else {  // the unused places at -inf: their exponentials are +0 and change no sum
      const __m256i mask = lane_mask(n - 8 * i);
      v[i] = _mm256_blendv_ps(nothing, _mm256_mul_ps(_mm256_maskload_ps(s + 8 * i, mask), factor),
                              _mm256_castsi256_ps(mask));
    }
  }
  const __m256 top = _mm256_max_ps(_mm256_max_ps(_mm256_max_ps(v[0], v[1]), _mm256_max_ps(v[2], v[3])),
                                   _mm256_max_ps(_mm256_max_ps(v[4], v[5]), _mm256_max_ps(v[6], v[7])));
  __m128 four = _mm_max_ps(_mm256_castps256_ps128(top), _mm256_extractf128_ps(top, 1));
  four = _mm_max_ps(four, _mm_movehl_ps(four, four));
  const float here = _mm_cvtss_f32(_mm_max_ss(four, _mm_movehdup_ps(four))), before = *m;
  const float largest = here > before ? here : before;
  constexpr float kLargest = 3.40282347e38f;
  const float safe = largest > -kLargest ? largest : -kLargest;  // -inf less -inf would be a NaN
  // e^0 is 1 to the bit: the rule, once the maximum has been seen.
  const float rescale = before == safe ? 1.0f : _mm256_cvtss_f32(exp(_mm256_set1_ps(before - safe)));
  const __m256 shift = _mm256_set1_ps(safe);
  __m256 low = _mm256_setzero_ps(), high = low;
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    if (!kFull && n <= 8 * i) break;
    const __m256 e = exp(_mm256_sub_ps(v[i], shift));
    if (kFull) _mm256_storeu_ps(s + 8 * i, e);
    else _mm256_maskstore_ps(s + 8 * i, lane_mask(n - 8 * i), e);
    if (i % 2 == 0) low = _mm256_add_ps(low, e);
    else high = _mm256_add_ps(high, e);
  }
  const float total = tree16(low, high);
  *m = largest;
  *l = _mm_cvtss_f32(_mm_fmadd_ss(_mm_set_ss(*l), _mm_set_ss(rescale), _mm_set_ss(total)));
  return rescale;
}

}  // namespace

float softmax_tile(float* s, int n, float scale, float* m, float* l) {
  return n == 64 ? softmax<true>(s, 64, scale, m, l) : softmax<false>(s, n, scale, m, l);
}

}  // namespace fieldprint::avx2
