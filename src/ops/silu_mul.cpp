// y = silu(gate) * up, with silu(z) = z / (1 + e^-z): the middle of SwiGLU (Shazeer 2020).
#include <cmath>

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

}  // namespace

Tensor Ops::silu_mul(const Tensor& gate, const Tensor& up) {
  const OpScope scope(executor_, "silu_mul");
  return executor_.visit([&](auto& executor) { return compute(executor, gate, up); });
}

}  // namespace fieldprint
