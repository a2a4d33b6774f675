// Ba et al. 2016: y = (x - mean(x)) / sqrt(variance(x) + eps) * weight + bias.
#include <cmath>

#include "ops/ops.h"
#include "ops/reference_executor.h"
#include "ops/run_executor.h"

namespace fieldprint {
namespace {

Tensor compute(RunExecutor& run, const Tensor& x, const Weight& weight, const Weight& bias, float eps) {
  Tensor y = run.make(x.rows(), x.cols());
  const int n = static_cast<int>(x.cols());
  run.for_rows(x.rows(), [&](int row) {
    const int64_t at = int64_t{row} * n;
    run.kernels().layer_norm(run.data(x) + at, weight.floats(), bias.floats(), n, eps, run.data(y) + at);
  });
  return y;
}

Tensor compute(ReferenceExecutor& reference, const Tensor& x, const Weight& weight, const Weight& bias, float eps) {
  Tensor y = reference.make(x.rows(), x.cols());
  const int64_t n = x.cols();
  for (int64_t row = 0; row < x.rows(); ++row) {
    const double* in = reference.data(x) + row * n;
    double mean = 0, variance = 0;
    for (int64_t i = 0; i < n; ++i) mean += in[i] / static_cast<double>(n);
    for (int64_t i = 0; i < n; ++i) variance += (in[i] - mean) * (in[i] - mean) / static_cast<double>(n);
    const double scale = 1.0 / std::sqrt(variance + static_cast<double>(eps));
    for (int64_t i = 0; i < n; ++i) {
      reference.data(y)[row * n + i] =
          (in[i] - mean) * scale * static_cast<double>(weight.floats()[i]) + static_cast<double>(bias.floats()[i]);
    }
  }
  return y;
}

}  // namespace

Tensor Ops::layer_norm(const Tensor& x, const Weight& weight, const Weight& bias, float eps) {
  const OpScope scope(executor_, "layer_norm", weight.name);
  return executor_.visit([&](auto& executor) { return compute(executor, x, weight, bias, eps); });
}

}  // namespace fieldprint
