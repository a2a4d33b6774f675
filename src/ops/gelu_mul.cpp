// y = gelu(gate) * up in the tanh form (Hendrycks & Gimpel 2016): the middle of GeGLU (Shazeer 2020).
#include <cmath>

#include "ops/backward.h"
#include "ops/gelu_slope.h"
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

}  // namespace

Tensor Ops::gelu_mul(const Tensor& gate, const Tensor& up) {
  const OpScope scope(executor_, "gelu_mul");
  return executor_.visit([&](auto& executor) {
    Tensor y = compute(executor, gate, up);
    record_gate(executor, gate, up, y, 0, [](auto g, auto u, auto) {
      const auto [slope, sigmoid] = gelu_slope(g);
      return std::pair(u * slope, g * sigmoid);
    });
    return y;
  });
}

}  // namespace fieldprint
