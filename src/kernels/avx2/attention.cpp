// The two products of attention and its softmax.
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/vec.h"
#include "kernels/scalar/scalar.h"

namespace fieldprint::avx2 {
namespace {

inline __m256 load(const float* p) { return _mm256_loadu_ps(p); }
inline __m256 load(const uint16_t* p) { return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))); }

// M rows by 8 * C columns of c stay in registers while the inner index runs.
template <int M, int C, class B>
inline void block(const float* a, int64_t a_stride, const B* b, int64_t b_stride, float* c, int64_t c_stride,
                  int inner) {
  __m256 acc[M][C];
  for (int i = 0; i < M; ++i) {
    for (int j = 0; j < C; ++j) acc[i][j] = _mm256_loadu_ps(c + i * c_stride + 8 * j);
  }
  for (int k = 0; k < inner; ++k) {
    __m256 column[C];
    for (int j = 0; j < C; ++j) column[j] = load(b + k * b_stride + 8 * j);
    for (int i = 0; i < M; ++i) {
      const __m256 factor = _mm256_broadcast_ss(a + i * a_stride + k);
      for (int j = 0; j < C; ++j) acc[i][j] = _mm256_fmadd_ps(factor, column[j], acc[i][j]);
    }
  }
  for (int i = 0; i < M; ++i) {
    for (int j = 0; j < C; ++j) _mm256_storeu_ps(c + i * c_stride + 8 * j, acc[i][j]);
  }
}

template <int C, class B>
inline void columns(const float* a, int64_t a_stride, const B* b, int64_t b_stride, float* c, int64_t c_stride, int m,
                    int inner) {
  int i = 0;
  for (; i + 3 <= m; i += 3) block<3, C>(a + i * a_stride, a_stride, b, b_stride, c + i * c_stride, c_stride, inner);
  if (m - i == 2) block<2, C>(a + i * a_stride, a_stride, b, b_stride, c + i * c_stride, c_stride, inner);
  if (m - i == 1) block<1, C>(a + i * a_stride, a_stride, b, b_stride, c + i * c_stride, c_stride, inner);
}

}  // namespace

void accumulate(const float* a, int64_t a_stride, const uint16_t* b, int64_t b_stride, float* c, int64_t c_stride,
                int m, int inner, int n) {
  int i = 0;
  for (; i + 32 <= n; i += 32) columns<4>(a, a_stride, b + i, b_stride, c + i, c_stride, m, inner);
  for (; i < n; i += 8) columns<1>(a, a_stride, b + i, b_stride, c + i, c_stride, m, inner);
}

void accumulate_f32(const float* a, int64_t a_stride, const float* b, int64_t b_stride, float* c, int64_t c_stride,
                    int m, int inner, int n) {
  int i = 0;
  for (; i + 32 <= n; i += 32) columns<4>(a, a_stride, b + i, b_stride, c + i, c_stride, m, inner);
  for (; i < n; i += 8) columns<1>(a, a_stride, b + i, b_stride, c + i, c_stride, m, inner);
}

float softmax_tile(float* s, int n, float scale, float* m, float* l) {
  // The tile's 64 places, the unused at -inf: their exponentials are +0 and change no sum.
  __m256 v[8], top = _mm256_set1_ps(*m);
  const __m256 nothing = _mm256_set1_ps(-__builtin_inff());
  for (int i = 0; i < 8; ++i) {
    const __m256i mask = lane_mask(n - 8 * i);
    const __m256 scaled = _mm256_mul_ps(_mm256_maskload_ps(s + 8 * i, mask), _mm256_set1_ps(scale));
    v[i] = _mm256_blendv_ps(nothing, scaled, _mm256_castsi256_ps(mask));
    top = _mm256_max_ps(v[i], top);
  }
  __m128 four = _mm_max_ps(_mm256_castps256_ps128(top), _mm256_extractf128_ps(top, 1));
  four = _mm_max_ps(four, _mm_movehl_ps(four, four));
  const float largest = _mm_cvtss_f32(_mm_max_ss(four, _mm_movehdup_ps(four)));
  const float rescale = _mm256_cvtss_f32(exp(_mm256_set1_ps(*m - largest)));
  __m256 low = _mm256_setzero_ps(), high = low;
  for (int i = 0; i < 8; ++i) {
    if (n <= 8 * i) break;
    const __m256 e = exp(_mm256_sub_ps(v[i], _mm256_set1_ps(largest)));
    _mm256_maskstore_ps(s + 8 * i, lane_mask(n - 8 * i), e);
    if (i % 2 == 0) low = _mm256_add_ps(low, e);
    else high = _mm256_add_ps(high, e);
  }
  const float total = tree16(low, high);
  *m = largest;
  *l = _mm_cvtss_f32(_mm_fmadd_ss(_mm_set_ss(*l), _mm_set_ss(rescale), _mm_set_ss(total)));
  return rescale;
}

}  // namespace fieldprint::avx2
