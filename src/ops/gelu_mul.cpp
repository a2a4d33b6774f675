// y = gelu(gate) * up in the tanh form (Hendrycks & Gimpel 2016): the middle of GeGLU (Shazeer 2020).
#include <cmath>

#include "ops/ops.h"
#include "ops/reference_executor.h"
#include "ops/run_executor.h"

namespace fieldprint {
namespace {

Tensor compute(RunExecutor& run, const Tensor& gate, const Tensor& up) {
  Tensor y = run.make(gate.rows(), gate.cols());
  const int n = static_cast<int>(gate.cols());
  run.for_rows(gate.rows(), [&](int row) {
    const int64_t at = int64_t{row} * n;
    run.kernels().gelu_mul(run.data(gate) + at, run.data(up) + at, n, run.data(y) + at);
  });
  return y;
}

Tensor compute(ReferenceExecutor& reference, const Tensor& gate, const Tensor& up) {
  Tensor y = reference.make(gate.rows(), gate.cols());
  for (int64_t i = 0; i < gate.rows() * gate.cols(); ++i) {
    const double g = reference.data(gate)[i];
    constexpr double kSqrtTwoOverPi = 0.79788456080286535588;
    reference.data(y)[i] =
        0.5 * g * (1 + std::tanh(kSqrtTwoOverPi * (g + 0.044715 * g * g * g))) * reference.data(up)[i];
  }
  return y;
}

}  // namespace

Tensor Ops::gelu_mul(const Tensor& gate, const Tensor& up) {
  const OpScope scope(executor_, "gelu_mul");
  return executor_.visit([&](auto& executor) { return compute(executor, gate, up); });
}

}  // namespace fieldprint
