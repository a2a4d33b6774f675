// Float weights times float activations: two registers hold the contract's 16 partial sums.
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/vec.h"
#include "kernels/scalar/scalar.h"

namespace fieldprint::avx2 {
namespace {

struct F32 {
  using Element = float;
  static __m256 load(const float* p) { return Floats::load(p); }
};
struct F16 {
  using Element = uint16_t;
  static __m256 load(const uint16_t* p) { return Floats::load_f16(p); }
};
struct BF16 {
  using Element = uint16_t;
  static __m256 load(const uint16_t* p) { return Floats::load_bf16(p); }
};

// R rows by T tokens, whole sums.
template <class F, int R, int T>
inline void tile(const Matmul& args, int row, int token) {
  __m256 low[R][T], high[R][T];
  for (int r = 0; r < R; ++r) {
    for (int t = 0; t < T; ++t) low[r][t] = high[r][t] = _mm256_setzero_ps();
  }
  const typename F::Element* w[R];
  for (int r = 0; r < R; ++r) {
    w[r] = reinterpret_cast<const typename F::Element*>(args.weights + int64_t{row + r} * args.row_bytes);
  }
  const float* x = args.x.f32 + int64_t{token} * args.k;
  const int pairs = args.k / 16 * 16;
  for (int i = 0; i < pairs; i += 16) {
    for (int r = 0; r < R; ++r) {
      const __m256 a = F::load(w[r] + i), b = F::load(w[r] + i + 8);
      for (int t = 0; t < T; ++t) {
        low[r][t] = _mm256_fmadd_ps(a, _mm256_loadu_ps(x + int64_t{t} * args.k + i), low[r][t]);
        high[r][t] = _mm256_fmadd_ps(b, _mm256_loadu_ps(x + int64_t{t} * args.k + i + 8), high[r][t]);
      }
    }
  }
  if (pairs < args.k) {  // eight more: rows of an adapter's B may be no longer than that
    for (int r = 0; r < R; ++r) {
      const __m256 a = F::load(w[r] + pairs);
      for (int t = 0; t < T; ++t)
        low[r][t] = _mm256_fmadd_ps(a, _mm256_loadu_ps(x + int64_t{t} * args.k + pairs), low[r][t]);
    }
  }
  for (int r = 0; r < R; ++r) {
    for (int t = 0; t < T; ++t) args.y[(token + t) * args.y_stride + row + r] = tree16(low[r][t], high[r][t]);
  }
}

template <class F, int R>
inline void rows(const Matmul& args, int row) {
  int t = 0;
  for (; t + 3 <= args.tokens; t += 3) tile<F, R, 3>(args, row, t);
  if (t + 2 <= args.tokens) tile<F, R, 2>(args, row, t), t += 2;
  if (t < args.tokens) tile<F, R, 1>(args, row, t);
}

template <class F>
void matmul(const Matmul& args) {
  int row = args.row_begin;
  if (args.tokens == 1) {
    for (; row + 4 <= args.row_end; row += 4) tile<F, 4, 1>(args, row, 0);
  }
  for (; row + 2 <= args.row_end; row += 2) rows<F, 2>(args, row);
  if (row < args.row_end) rows<F, 1>(args, row);
}

}  // namespace

#define MATMUL_FLOAT(name, stem) \
  void matmul_##stem(const Matmul& args) { args.k % 8 == 0 ? matmul<name>(args) : scalar::matmul_##stem(args); }
#include "kernels/matmul_types.def"

}  // namespace fieldprint::avx2
