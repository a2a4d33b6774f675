// y = silu(gate) * up, with silu(z) = z / (1 + e^-z): the middle of SwiGLU (Shazeer 2020).
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
    run.kernels().silu_mul(run.data(gate) + at, run.data(up) + at, n, run.data(y) + at);
  });
  return y;
}

Tensor compute(ReferenceExecutor& reference, const Tensor& gate, const Tensor& up) {
  Tensor y = reference.make(gate.rows(), gate.cols());
  const double *g = reference.data(gate), *u = reference.data(up);
  for (int64_t i = 0; i < gate.rows() * gate.cols(); ++i) reference.data(y)[i] = g[i] / (1.0 + std::exp(-g[i])) * u[i];
  return y;
}

}  // namespace

Tensor Ops::silu_mul(const Tensor& gate, const Tensor& up) {
  const OpScope scope(executor_, "silu_mul");
  return executor_.visit([&](auto& executor) { return compute(executor, gate, up); });
}

}  // namespace fieldprint
