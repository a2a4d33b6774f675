// What happens to activations between the products.
#include <cmath>

#include "base/math.h"
#include "kernels/scalar/scalar.h"

namespace fieldprint::scalar {
namespace {

float tree(float* s) {
  for (int step = 8; step >= 1; step /= 2) {
    for (int j = 0; j < step; ++j) s[j] += s[j + step];
  }
  return s[0];
}

}  // namespace

void quantize(const float* x, int n, int8_t* q, float* d, int32_t* sum) {
  for (int b = 0; b < n / 32; ++b, x += 32, q += 32) {
    float largest = 0;
    for (int i = 0; i < 32; ++i) largest = std::fabs(x[i]) > largest ? std::fabs(x[i]) : largest;
    const float inverse = largest > 0 ? 127.0f / largest : 0.0f;
    int32_t total = 0;
    for (int i = 0; i < 32; ++i) {
      constexpr float kRound = ExpConstants::kRound;  // rounds half to even
      q[i] = static_cast<int8_t>((x[i] * inverse + kRound) - kRound);
      total += q[i];
    }
    d[b] = largest / 127.0f;
    sum[b] = total;
  }
}

void rms_norm(const float* x, const float* weight, int n, float eps, float* y) {
  float s[16] = {};
  for (int i = 0; i < n; ++i) s[i % 16] = std::fma(x[i], x[i], s[i % 16]);
  const float scale = 1.0f / std::sqrt(tree(s) / static_cast<float>(n) + eps);
  for (int i = 0; i < n; ++i) y[i] = x[i] * scale * weight[i];
}

void silu_mul(const float* gate, const float* up, int n, float* y) {
  for (int i = 0; i < n; ++i) y[i] = gate[i] / (1.0f + exp_f32(-gate[i])) * up[i];
}

}  // namespace fieldprint::scalar
