// The middle of gpt-oss' SwiGLU (OpenAI 2025): y = g / (1 + e^(-1.702 g)) * (u + 1), g = min(gate, 7) and u = up within
// -7 .. 7.
#include <algorithm>
#include <cmath>

#include "ops/ops.h"
#include "ops/pairwise.h"

namespace fieldprint {
namespace {

Tensor compute(RunExecutor& run, const Tensor& gate, const Tensor& up) {
  return pairwise(run, gate, up, run.kernels().swiglu_clamped);
}

Tensor compute(ReferenceExecutor& reference, const Tensor& gate, const Tensor& up) {
  return pairwise(reference, gate, up, [](double g, double u) {
    g = std::min(g, 7.0);
    return g / (1.0 + std::exp(-1.702 * g)) * (std::clamp(u, -7.0, 7.0) + 1.0);
  });
}

}  // namespace

Tensor Ops::swiglu_clamped(const Tensor& gate, const Tensor& up) {
  const OpScope scope(executor_, "swiglu_clamped");
  return executor_.visit([&](auto& executor) { return compute(executor, gate, up); });
}

}  // namespace fieldprint
