// The middle of gpt-oss' SwiGLU (OpenAI 2025): y = g / (1 + e^(-1.702 g)) * (u + 1), g = min(gate, 7) and u = up within
// -7 .. 7.
#include <algorithm>
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
    run.kernels().swiglu_clamped(run.data(gate) + at, run.data(up) + at, n, run.data(y) + at);
  });
  return y;
}

Tensor compute(ReferenceExecutor& reference, const Tensor& gate, const Tensor& up) {
  Tensor y = reference.make(gate.rows(), gate.cols());
  for (int64_t i = 0; i < gate.rows() * gate.cols(); ++i) {
    const double g = std::min(reference.data(gate)[i], 7.0), u = std::clamp(reference.data(up)[i], -7.0, 7.0);
    reference.data(y)[i] = g / (1.0 + std::exp(-1.702 * g)) * (u + 1.0);
  }
  return y;
}

}  // namespace

Tensor Ops::swiglu_clamped(const Tensor& gate, const Tensor& up) {
  const OpScope scope(executor_, "swiglu_clamped");
  return executor_.visit([&](auto& executor) { return compute(executor, gate, up); });
}

}  // namespace fieldprint
