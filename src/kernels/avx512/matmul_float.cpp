// Float weights times float activations: one register holds the contract's 16 partial sums.
#include "kernels/avx512/avx512.h"
#include "kernels/avx512/vec.h"
#include "kernels/scalar/scalar.h"

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
  for (int r = 0; r < R; ++r) {
    for (int t = 0; t < T; ++t) args.y[(token + t) * args.y_stride + row + r] = tree16(sum[r][t]);
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
  void matmul_##stem(const Matmul& args) { args.k % 16 == 0 ? matmul<name>(args) : scalar::matmul_##stem(args); }
#include "kernels/matmul_types.def"

}  // namespace fieldprint::avx512
