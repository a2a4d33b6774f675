// Float weights times float activations: one register holds the contract's 16 partial sums.
#include "kernels/avx2/avx2.h"
#include "kernels/avx512/avx512.h"
#include "kernels/avx512/vec.h"

namespace fieldprint::avx512 {
namespace {

struct F32 {
  using Element = float;
  static __m512 load(const float* p) { return Floats::load(p); }
};
struct F16 {
  using Element = uint16_t;
  static __m512 load(const uint16_t* p) { return Floats::load_f16(p); }
};
struct BF16 {
  using Element = uint16_t;
  static __m512 load(const uint16_t* p) { return Floats::load_bf16(p); }
};

// The contract's tree.
inline float tree16(__m512 s) {
  const __m256 v =
      _mm256_add_ps(_mm512_castps512_ps256(s), _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(s), 1)));
  __m128 q = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  q = _mm_add_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_add_ss(q, _mm_movehdup_ps(q)));
}

// The same of 4 x 4 vectors: lane r of quarter t is that of s[r][t].
inline __m512 trees16(const __m512 (&s)[4][4]) {
  __m512 four[4];  // each quarter a vector's lanes j + 8 and j + 4 added up
#pragma GCC unroll 4
  for (int r = 0; r < 4; ++r) {
    const auto halves = [](__m512 a, __m512 b) {
      return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
    };
    const __m512 x = halves(s[r][0], s[r][1]), y = halves(s[r][2], s[r][3]);
    four[r] = _mm512_add_ps(_mm512_shuffle_f32x4(x, y, 0x88), _mm512_shuffle_f32x4(x, y, 0xdd));
  }
  const auto pairs = [](__m512 a, __m512 b) {
    return _mm512_add_ps(_mm512_shuffle_ps(a, b, 0x44), _mm512_shuffle_ps(a, b, 0xee));
  };
  const __m512 x = pairs(four[0], four[1]), y = pairs(four[2], four[3]);
  return _mm512_add_ps(_mm512_shuffle_ps(x, y, 0x88), _mm512_shuffle_ps(x, y, 0xdd));
}

template <class F, int R, int T>
inline void tile(const Matmul& args, int row, int token) {
  __m512 sum[R][T];
  const typename F::Element* w[R];
  for (int r = 0; r < R; ++r) {
    w[r] = reinterpret_cast<const typename F::Element*>(args.weights + int64_t{row + r} * args.row_bytes);
    for (int t = 0; t < T; ++t) sum[r][t] = _mm512_setzero_ps();
  }
  const float* x = args.x.f32 + int64_t{token} * args.k;
  for (int i = 0; i < args.k; i += 16) {
    for (int r = 0; r < R; ++r) {
      const __m512 a = F::load(w[r] + i);
      for (int t = 0; t < T; ++t)
        sum[r][t] = _mm512_fmadd_ps(a, _mm512_loadu_ps(x + int64_t{t} * args.k + i), sum[r][t]);
    }
  }
  float* y = args.y + token * args.y_stride + row;
  if constexpr (R == 4 && T == 4) {
    const __m512 all = trees16(sum);
    _mm_storeu_ps(y, _mm512_castps512_ps128(all));
    _mm_storeu_ps(y + args.y_stride, _mm512_extractf32x4_ps(all, 1));
    _mm_storeu_ps(y + 2 * args.y_stride, _mm512_extractf32x4_ps(all, 2));
    _mm_storeu_ps(y + 3 * args.y_stride, _mm512_extractf32x4_ps(all, 3));
  } else {
    for (int r = 0; r < R; ++r) {
      for (int t = 0; t < T; ++t) y[t * args.y_stride + r] = tree16(sum[r][t]);
    }
  }
}

template <class F, int R>
inline void rows(const Matmul& args, int row) {
  int t = 0;
  for (; t + 4 <= args.tokens; t += 4) tile<F, R, 4>(args, row, t);
  for (; t < args.tokens; ++t) tile<F, R, 1>(args, row, t);
}

template <class F>
void matmul(const Matmul& args) {
  int row = args.row_begin;
  for (; row + 4 <= args.row_end; row += 4) rows<F, 4>(args, row);
  for (; row < args.row_end; ++row) rows<F, 1>(args, row);
}

}  // namespace

#define MATMUL_FLOAT(name, stem) \
  void matmul_##stem(const Matmul& args) { args.k % 16 == 0 ? matmul<name>(args) : avx2::matmul_##stem(args); }
#include "kernels/matmul_types.def"

}  // namespace fieldprint::avx512
