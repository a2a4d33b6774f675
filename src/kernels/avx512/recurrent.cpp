// The slots of layers with recurrent state.
#include "kernels/lanes/recurrent.h"

#include "kernels/avx512/avx512.h"
#include "kernels/avx512/vec.h"
#include "kernels/scalar/scalar.h"

namespace fieldprint::avx512 {

void sigmoid_mul(const float* gate, const float* x, int n, float* y) {
  const int done = sigmoid_mul_vectors<Floats>(gate, x, n, y);
  scalar::sigmoid_mul(gate + done, x + done, n - done, y + done);
}

void convolve_silu(const ConvolveRow& c) {
  ConvolveRow rest = c;
  rest.begin = convolve_silu_vectors<Floats>(c);
  if (rest.begin < rest.end) scalar::convolve_silu(rest);
}

void scan_state(const StateScan& s) {
  const int done = scan_state_vectors<Floats>(s);
  if (done < s.columns) scalar::scan_state(columns_from(s, done));
}

}  // namespace fieldprint::avx512
