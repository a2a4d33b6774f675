// The middle of gpt-oss' SwiGLU (OpenAI 2025): y = g / (1 + e^(-1.702 g)) * (u + 1), g = min(gate, 7) and u = up within
// -7 .. 7.
#include <algorithm>
#include <cmath>

#include "ops/backward.h"
#include "ops/ops.h"
#include "ops/pairwise.h"

namespace fieldprint {
namespace {

Tensor compute(RunExecutor& run, const Tensor& gate, const Tensor& up) {
  return pairwise(run, gate, up, run.kernels().swiglu_clamped);
}

Tensor compute(ReferenceExecutor& reference, const Tensor& gate, const Tensor& up) {
  return pairwise(reference, gate, up, [](double g, double u) {
    g = std::min(g, 7.0);
    return g / (1.0 + std::exp(-1.702 * g)) * (std::clamp(u, -7.0, 7.0) + 1.0);
  });
}

// With s = sigmoid(1.702 g): dg = dy (u + 1) s (1 + 1.702 g (1 - s)), du = dy g s; 0 beyond the limits.
template <class Number>
std::pair<Number, Number> slopes(Number gate, Number up) {
  const Number limit = static_cast<Number>(kSwigluLimit), slope = static_cast<Number>(kSwigluSlope);
  const Number g = std::min(gate, limit), u = std::clamp(up, -limit, limit), s = 1 / (1 + exp_of(-slope * g));
  return {gate < limit ? (u + 1) * s * (1 + slope * g * (1 - s)) : 0, up > -limit && up < limit ? g * s : 0};
}

}  // namespace

Tensor Ops::swiglu_clamped(const Tensor& gate, const Tensor& up) {
  const OpScope scope(executor_, "swiglu_clamped");
  return executor_.visit([&](auto& executor) {
    Tensor y = compute(executor, gate, up);
    record_gate(executor, gate, up, y, 0, [](auto g, auto u, auto) { return slopes(g, u); });
    return y;
  });
}

}  // namespace fieldprint
