// Row-wise work that gains by sixteen lanes; the rest is avx2/'s.
#include "kernels/avx512/avx512.h"
#include "kernels/avx512/vec.h"
#include "kernels/scalar/scalar.h"

namespace fieldprint::avx512 {

void silu_mul(const float* gate, const float* up, int n, float* y) {
  constexpr int kVectors = 4;
  int i = 0;
  for (; i + 16 * kVectors <= n; i += 16 * kVectors) {
    __m512 e[kVectors];
    for (int v = 0; v < kVectors; ++v) e[v] = _mm512_xor_ps(_mm512_loadu_ps(gate + i + 16 * v), _mm512_set1_ps(-0.0f));
    exp(e);
    for (int v = 0; v < kVectors; ++v) {
      const int at = i + 16 * v;
      const __m512 s = _mm512_div_ps(_mm512_loadu_ps(gate + at), _mm512_add_ps(_mm512_set1_ps(1.0f), e[v]));
      _mm512_storeu_ps(y + at, _mm512_mul_ps(s, _mm512_loadu_ps(up + at)));
    }
  }
  scalar::silu_mul(gate + i, up + i, n - i, y + i);
}

}  // namespace fieldprint::avx512
