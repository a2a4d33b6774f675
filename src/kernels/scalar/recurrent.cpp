// The slots of layers with recurrent state: convolution, linear attention, and the gate of attention.
#include <cmath>

#include "base/math.h"
#include "kernels/scalar/scalar.h"

namespace fieldprint::scalar {

void sigmoid_mul(const float* gate, const float* x, int n, float* y) {
  for (int i = 0; i < n; ++i) y[i] = 1.0f / (1.0f + exp_f32(-gate[i])) * x[i];
}

void convolve_silu(const ConvolveRow& c) {
  for (int i = c.begin; i < c.end; ++i) {
    float sum = c.bias != nullptr ? c.bias[i] : 0;
    for (int j = 0; j < c.taps; ++j) sum = std::fma(c.kernel[j * c.n + i], c.rows[j][i], sum);
    c.y[i] = sum / (1.0f + exp_f32(-sum));
  }
}

void scan_state(const StateScan& s) {
  const auto total = [](const float(&sum)[4]) { return (sum[0] + sum[1]) + (sum[2] + sum[3]); };
  for (int t = 0; t < s.tokens; ++t) {
    const float *q = s.q + t * s.key_stride, *k = s.k + t * s.key_stride, *v = s.v + t * s.value_stride;
    const float decay = s.decay[t * s.gate_stride];
    float* o = s.o + t * s.output_stride;
    for (int column = 0; column < s.columns; ++column) {
      float* m = s.state + column;
      float d = v[column];
      if (s.beta != nullptr) {
        float sum[4] = {};
        for (int i = 0; i < s.keys; ++i) sum[i % 4] = std::fma(m[i * s.state_stride], k[i], sum[i % 4]);
        d = s.beta[t * s.gate_stride] * (d - decay * total(sum));
      }
      float sum[4] = {};
      for (int i = 0; i < s.keys; ++i) {
        float& value = m[i * s.state_stride];
        value = std::fma(k[i], d, decay * value);
        sum[i % 4] = std::fma(value, q[i], sum[i % 4]);
      }
      o[column] = total(sum);
    }
  }
}

}  // namespace fieldprint::scalar
