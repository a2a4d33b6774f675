// y = silu(gate) * up, with silu(z) = z / (1 + e^-z): the middle of SwiGLU (Shazeer 2020).
#include <cmath>

#include "ops/backward.h"
#include "ops/ops.h"
#include "ops/pairwise.h"

namespace fieldprint {
namespace {

Tensor compute(RunExecutor& run, const Tensor& gate, const Tensor& up) {
  return pairwise(run, gate, up, run.kernels().silu_mul);
}

Tensor compute(ReferenceExecutor& reference, const Tensor& gate, const Tensor& up) {
  return pairwise(reference, gate, up, [](double g, double u) { return g / (1.0 + std::exp(-g)) * u; });
}

// With s = sigmoid(gate): dgate = dy up s (1 + gate (1 - s)), dup = dy gate s.
template <class Number>
std::pair<Number, Number> slopes(Number g, Number u, Number s) {
  return {u * s * (1 + g * (1 - s)), g * s};
}

}  // namespace

Tensor Ops::silu_mul(const Tensor& gate, const Tensor& up) {
  const OpScope scope(executor_, "silu_mul");
  return executor_.visit([&](auto& executor) {
    Tensor y = compute(executor, gate, up);
    record_gate(executor, gate, up, y, 1, [](auto g, auto u, auto s) { return slopes(g, u, s); });
    return y;
  });
}

}  // namespace fieldprint
