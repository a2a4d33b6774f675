// Row-wise work that gains by sixteen lanes; the rest is avx2/'s.
#include "kernels/avx512/avx512.h"
#include "kernels/avx512/vec.h"
#include "kernels/scalar/scalar.h"

namespace fieldprint::avx512 {

void silu_mul(const float* gate, const float* up, int n, float* y) {
  const int done = silu_mul_vectors<Floats, 4>(gate, up, n, y);
  scalar::silu_mul(gate + done, up + done, n - done, y + done);
}

}  // namespace fieldprint::avx512
