// y = sigmoid(gate) * x, with sigmoid(z) = 1 / (1 + e^-z): the gate of attention.
#include <cmath>

#include "ops/ops.h"
#include "ops/reference_executor.h"
#include "ops/run_executor.h"

namespace fieldprint {
namespace {

Tensor compute(RunExecutor& run, const Tensor& gate, const Tensor& x) {
  Tensor y = run.make(gate.rows(), gate.cols());
  const int n = static_cast<int>(gate.cols());
  run.for_rows(gate.rows(), [&](int row) {
    const int64_t at = int64_t{row} * n;
    run.kernels().sigmoid_mul(run.data(gate) + at, run.data(x) + at, n, run.data(y) + at);
  });
  return y;
}

Tensor compute(ReferenceExecutor& reference, const Tensor& gate, const Tensor& x) {
  Tensor y = reference.make(gate.rows(), gate.cols());
  const double *g = reference.data(gate), *in = reference.data(x);
  for (int64_t i = 0; i < gate.rows() * gate.cols(); ++i) reference.data(y)[i] = 1.0 / (1.0 + std::exp(-g[i])) * in[i];
  return y;
}

}  // namespace

Tensor Ops::sigmoid_mul(const Tensor& gate, const Tensor& x) {
  const OpScope scope(executor_, "sigmoid_mul");
  return executor_.visit([&](auto& executor) { return compute(executor, gate, x); });
}

}  // namespace fieldprint
