// y = gelu(gate) * up in the tanh form (Hendrycks & Gimpel 2016): the middle of GeGLU (Shazeer 2020).
#include <cmath>

#include "ops/backward.h"
#include "ops/ops.h"
#include "ops/pairwise.h"

namespace fieldprint {
namespace {

Tensor compute(RunExecutor& run, const Tensor& gate, const Tensor& up) {
  return pairwise(run, gate, up, run.kernels().gelu_mul);
}

Tensor compute(ReferenceExecutor& reference, const Tensor& gate, const Tensor& up) {
  constexpr double kSqrtTwoOverPi = 0.79788456080286535588;
  return pairwise(reference, gate, up, [](double g, double u) {
    return 0.5 * g * (1 + std::tanh(kSqrtTwoOverPi * (g + 0.044715 * g * g * g))) * u;
  });
}

// gelu(z) = z s with s = sigmoid(2 sqrt(2 / pi) (z + 0.044715 z^3)), so its slope is
//   s + z s (1 - s) 2 sqrt(2 / pi) (1 + 3 * 0.044715 z^2)
template <class Number>
std::pair<Number, Number> slopes(Number g, Number u) {
  constexpr Number kLinear = Number{-1} * static_cast<Number>(kGeluLinear),
                   kCubic = Number{-1} * static_cast<Number>(kGeluCubic);
  const Number s = 1 / (1 + exp_of(-g * (kLinear + kCubic * g * g)));
  return {u * (s + g * s * (1 - s) * (kLinear + 3 * kCubic * g * g)), g * s};
}

}  // namespace

Tensor Ops::gelu_mul(const Tensor& gate, const Tensor& up) {
  const OpScope scope(executor_, "gelu_mul");
  return executor_.visit([&](auto& executor) {
    Tensor y = compute(executor, gate, up);
    record_gate(executor, gate, up, y, 0, [](auto g, auto u, auto) { return slopes(g, u); });
    return y;
  });
}

}  // namespace fieldprint
