// The row-wise slots: norms, activation functions, quantising.
#include <cmath>

#include "base/gelu_constants.h"
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

float largest_magnitude(const float* x) {  // of a block; a NaN is passed over
  float largest = 0;
  for (int i = 0; i < 32; ++i) largest = std::fmax(std::fabs(x[i]), largest);
  return largest < kLeastActivation ? 0 : largest;
}

int8_t to_byte(float steps) {
  steps = std::fmin(std::fmax(steps, -127.0f), 127.0f);
  return static_cast<int8_t>((steps + ExpConstants::kRound) - ExpConstants::kRound);  // half to even
}

}  // namespace

void quantize(const float* x, int n, const Activations& out) {
  const int blocks = n / 32;
  // One block of numbers in steps of d.
  const auto block = [](const float* values, float inverse, float d, const Quantized& to, int b) {
    int pair_sums[4] = {};
    for (int i = 0; i < 32; ++i) {
      to.q[b * 32 + i] = to_byte(values[i] * inverse);
      pair_sums[i / 16 * 2 + i % 4 / 2] += to.q[b * 32 + i];
    }
    to.d[b] = d;
    for (int p = 0; p < 4; ++p) to.pair_sums[4 * b + p] = static_cast<int16_t>(pair_sums[p]);
    const int half_sums[2] = {pair_sums[0] + pair_sums[1], pair_sums[2] + pair_sums[3]};
    for (int p = 0; p < 2; ++p) to.half_sums[2 * b + p] = static_cast<int16_t>(half_sums[p]);
    to.sum[b] = d * static_cast<float>(half_sums[0] + half_sums[1]);
  };
  OutlierLimit limit;
  for (int b = 0; b < blocks; ++b) {
    const float largest = largest_magnitude(x + b * 32);
    const float d = largest / 127.0f;
    block(x + b * 32, largest > 0 ? 127.0f / largest : 0.0f, d, out.high, b);
    limit.add(d);
  }
  const float coarse = limit.value();
  for (int w = 0; w < Activations::outlier_words(n); ++w) out.outliers[w] = 0;
  for (int b = 0; b < blocks; ++b) {
    const float d = out.high.d[b];
    if (!(d > coarse)) continue;
    out.outliers[b / kOutlierWord] |= 1u << (b % kOutlierWord);
    float rest[32];
    for (int i = 0; i < 32; ++i) rest[i] = std::fma(-d, static_cast<float>(out.high.q[b * 32 + i]), x[b * 32 + i]);
    block(rest, static_cast<float>(kResidualSteps) / d, d / static_cast<float>(kResidualSteps), out.residual, b);
  }
}

void quantize_bytes(const float* x, int64_t n, int8_t* q, float* scales, int32_t* sums) {
  for (int64_t b = 0; b < n / 32; ++b, x += 32, q += 32) {
    const float largest = largest_magnitude(x), inverse = largest > 0 ? 127.0f / largest : 0.0f;
    scales[b] = largest / 127.0f;
    sums[b] = 0;
    for (int i = 0; i < 32; ++i) {
      q[i] = to_byte(x[i] * inverse);
      sums[b] += q[i];
    }
  }
}

void rms_norm(const float* x, const float* weight, int n, float eps, float* y) {
  float s[16] = {};
  for (int i = 0; i < n; ++i) s[i % 16] = std::fma(x[i], x[i], s[i % 16]);
  const float scale = 1.0f / std::sqrt(tree(s) / static_cast<float>(n) + eps);
  for (int i = 0; i < n; ++i) y[i] = x[i] * scale * weight[i];
}

void layer_norm(const float* x, const float* weight, const float* bias, int n, float eps, float* y) {
  float s[16] = {};
  for (int i = 0; i < n; ++i) s[i % 16] += x[i];
  const float mean = tree(s) / static_cast<float>(n);
  float squares[16] = {};
  for (int i = 0; i < n; ++i) squares[i % 16] = std::fma(x[i] - mean, x[i] - mean, squares[i % 16]);
  const float scale = 1.0f / std::sqrt(tree(squares) / static_cast<float>(n) + eps);
  for (int i = 0; i < n; ++i) y[i] = std::fma((x[i] - mean) * scale, weight[i], bias[i]);
}

void gelu_erf(const float* x, int n, float* y) {
  using C = GeluConstants;
  for (int i = 0; i < n; ++i) {
    const float positive = x[i] < 0.0f ? 0.0f : x[i], size = positive + (-x[i] < 0.0f ? 0.0f : -x[i]);
    const float t = 1.0f / std::fma(size, C::kSlope, 1.0f);
    float p = C::k[8];
    for (int k = 7; k >= 0; --k) p = std::fma(p, t, C::k[k]);
    y[i] = positive - size * (p * t * exp_f32(size * (size * -0.5f)));
  }
}

void silu_mul(const float* gate, const float* up, int n, float* y) {
  for (int i = 0; i < n; ++i) y[i] = gate[i] / (1.0f + exp_f32(-gate[i])) * up[i];
}

void gelu_mul(const float* gate, const float* up, int n, float* y) {
  for (int i = 0; i < n; ++i) {
    const float g = gate[i];
    y[i] = g / (1.0f + exp_f32(g * std::fma(g * g, kGeluCubic, kGeluLinear))) * up[i];
  }
}

void swiglu_clamped(const float* gate, const float* up, int n, float* y) {
  for (int i = 0; i < n; ++i) {
    const float g = kSwigluLimit < gate[i] ? kSwigluLimit : gate[i];
    const float most = kSwigluLimit < up[i] ? kSwigluLimit : up[i];
    const float u = -(kSwigluLimit < -most ? kSwigluLimit : -most);
    y[i] = g / (1.0f + exp_f32(g * -kSwigluSlope)) * (u + 1.0f);
  }
}

void softcap(float* x, int n, float scale, float cap) {
  const float slope = -2.0f * scale / cap;
  for (int i = 0; i < n; ++i) x[i] = 2.0f * cap / (1.0f + exp_f32(x[i] * slope)) - cap;
}

}  // namespace fieldprint::scalar
