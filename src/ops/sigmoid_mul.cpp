// y = sigmoid(gate) * x, with sigmoid(z) = 1 / (1 + e^-z): the gate of attention.
#include <cmath>

#include "ops/backward.h"
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

// With s = sigmoid(gate): dgate = dy x s (1 - s), dx = dy s.
template <class Number>
std::pair<Number, Number> slopes(Number x, Number s) {
  return {x * s * (1 - s), s};
}

}  // namespace

Tensor Ops::sigmoid_mul(const Tensor& gate, const Tensor& x) {
  const OpScope scope(executor_, "sigmoid_mul");
  return executor_.visit([&](auto& executor) {
    Tensor y = compute(executor, gate, x);
    record_gate(executor, gate, x, y, 1, [](auto, auto z, auto s) { return slopes(z, s); });
    return y;
  });
}

}  // namespace fieldprint
