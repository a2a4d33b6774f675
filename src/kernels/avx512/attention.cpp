// The two products of attention, 16 columns a register.
#include "kernels/avx2/avx2.h"
#include "kernels/avx512/avx512.h"

namespace fieldprint::avx512 {
namespace {

inline __m512 load(const float* p) { return _mm512_loadu_ps(p); }
inline __m512 load(const uint16_t* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}

template <int M, int C, class B>
inline void block(const float* a, int64_t a_stride, const B* b, int64_t b_stride, float* c, int64_t c_stride,
                  int inner) {
  __m512 acc[M][C];
  for (int i = 0; i < M; ++i) {
    for (int j = 0; j < C; ++j) acc[i][j] = _mm512_loadu_ps(c + i * c_stride + 16 * j);
  }
  for (int k = 0; k < inner; ++k) {
    __m512 column[C];
    for (int j = 0; j < C; ++j) column[j] = load(b + k * b_stride + 16 * j);
    for (int i = 0; i < M; ++i) {
      const __m512 factor = _mm512_set1_ps(a[i * a_stride + k]);
      for (int j = 0; j < C; ++j) acc[i][j] = _mm512_fmadd_ps(factor, column[j], acc[i][j]);
    }
  }
  for (int i = 0; i < M; ++i) {
    for (int j = 0; j < C; ++j) _mm512_storeu_ps(c + i * c_stride + 16 * j, acc[i][j]);
  }
}

template <int C, class B>
inline void columns(const float* a, int64_t a_stride, const B* b, int64_t b_stride, float* c, int64_t c_stride, int m,
                    int inner) {
  int i = 0;
  for (; i + 4 <= m; i += 4) block<4, C>(a + i * a_stride, a_stride, b, b_stride, c + i * c_stride, c_stride, inner);
  for (; i < m; ++i) block<1, C>(a + i * a_stride, a_stride, b, b_stride, c + i * c_stride, c_stride, inner);
}

}  // namespace

void accumulate(const float* a, int64_t a_stride, const uint16_t* b, int64_t b_stride, float* c, int64_t c_stride,
                int m, int inner, int n) {
  int i = 0;
  for (; i + 64 <= n; i += 64) columns<4>(a, a_stride, b + i, b_stride, c + i, c_stride, m, inner);
  for (; i + 16 <= n; i += 16) columns<1>(a, a_stride, b + i, b_stride, c + i, c_stride, m, inner);
  if (i < n) avx2::accumulate(a, a_stride, b + i, b_stride, c + i, c_stride, m, inner, n - i);
}

void accumulate_f32(const float* a, int64_t a_stride, const float* b, int64_t b_stride, float* c, int64_t c_stride,
                    int m, int inner, int n) {
  int i = 0;
  for (; i + 64 <= n; i += 64) columns<4>(a, a_stride, b + i, b_stride, c + i, c_stride, m, inner);
  for (; i + 16 <= n; i += 16) columns<1>(a, a_stride, b + i, b_stride, c + i, c_stride, m, inner);
  if (i < n) avx2::accumulate_f32(a, a_stride, b + i, b_stride, c + i, c_stride, m, inner, n - i);
}

}  // namespace fieldprint::avx512
