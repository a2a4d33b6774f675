// y = sigmoid(gate) * x, with sigmoid(z) = 1 / (1 + e^-z): the gate of attention.
#include <cmath>

#include "ops/ops.h"
#include "ops/pairwise.h"

namespace fieldprint {
namespace {

Tensor compute(RunExecutor& run, const Tensor& gate, const Tensor& x) {
  return pairwise(run, gate, x, run.kernels().sigmoid_mul);
}

Tensor compute(ReferenceExecutor& reference, const Tensor& gate, const Tensor& x) {
  return pairwise(reference, gate, x, [](double g, double z) { return 1.0 / (1.0 + std::exp(-g)) * z; });
}

}  // namespace

Tensor Ops::sigmoid_mul(const Tensor& gate, const Tensor& x) {
  const OpScope scope(executor_, "sigmoid_mul");
  return executor_.visit([&](auto& executor) { return compute(executor, gate, x); });
}

}  // namespace fieldprint
