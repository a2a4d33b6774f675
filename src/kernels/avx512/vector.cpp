// Row-wise work that gains by sixteen lanes; the rest is avx2/'s.
#include "kernels/avx512/avx512.h"
#include "kernels/avx512/vec.h"
#include "kernels/lanes/gelu.h"
#include "kernels/scalar/scalar.h"

namespace fieldprint::avx512 {

void gelu_erf(const float* x, int n, float* y) {
  const int done = gelu_erf_vectors<Floats, 2>(x, n, y);
  scalar::gelu_erf(x + done, n - done, y + done);
}

void silu_mul(const float* gate, const float* up, int n, float* y) {
  const int done = gated_vectors<Floats, 4, Silu>(gate, up, n, y);
  scalar::silu_mul(gate + done, up + done, n - done, y + done);
}

void gelu_mul(const float* gate, const float* up, int n, float* y) {
  const int done = gated_vectors<Floats, 4, Gelu>(gate, up, n, y);
  scalar::gelu_mul(gate + done, up + done, n - done, y + done);
}

void swiglu_clamped(const float* gate, const float* up, int n, float* y) {
  const int done = gated_vectors<Floats, 4, ClampedSilu>(gate, up, n, y);
  scalar::swiglu_clamped(gate + done, up + done, n - done, y + done);
}

void softcap(float* x, int n, float scale, float cap) {
  const int done = softcap_vectors<Floats, 1>(x, n, scale, cap);
  scalar::softcap(x + done, n - done, scale, cap);
}

}  // namespace fieldprint::avx512
