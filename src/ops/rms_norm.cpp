// Zhang & Sennrich 2019: y = x / sqrt(mean(x^2) + eps) * weight.
#include <cmath>
#include <vector>

#include "ops/ops.h"
#include "ops/reference_executor.h"
#include "ops/run_executor.h"

namespace fieldprint {
namespace {

Tensor compute(RunExecutor& run, const Tensor& x, const Weight& weight, float eps) {
  Tensor y = run.make(x.rows(), x.cols());
  const float* in = run.data(x);
  float* out = run.data(y);
  const int n = static_cast<int>(weight.cols);
  run.for_rows(x.rows(), [&](int row) {
    for (int64_t i = row * x.cols(), group = 0; group < x.cols() / n; i += n, ++group)
      run.kernels().rms_norm(in + i, weight.floats() + group % weight.rows * n, n, eps, out + i);
  });
  return y;
}

Tensor compute(ReferenceExecutor& reference, const Tensor& x, const Weight& weight, float eps) {
  Tensor y = reference.make(x.rows(), x.cols());
  const double* in = reference.data(x);
  double* out = reference.data(y);
  const int64_t n = weight.cols, groups = x.cols() / n;
  for (int64_t begin = 0; begin < x.rows() * x.cols(); begin += n) {
    const float* w = reference.decoded_row(weight, begin / n % groups % weight.rows);
    double sum = 0;
    for (int64_t i = 0; i < n; ++i) sum += in[begin + i] * in[begin + i];
    const double scale = 1.0 / std::sqrt(sum / static_cast<double>(n) + static_cast<double>(eps));
    for (int64_t i = 0; i < n; ++i) out[begin + i] = in[begin + i] * scale * static_cast<double>(w[i]);
  }
  return y;
}

}  // namespace

Tensor Ops::rms_norm(const Tensor& x, const Weight& weight, float eps) {
  const OpScope scope(executor_, "rms_norm", weight.name);
  return executor_.visit([&](auto& executor) { return compute(executor, x, weight, eps); });
}

}  // namespace fieldprint
