// y = x Phi(x), Phi the normal distribution (Hendrycks & Gimpel 2016): BERT's GELU, without the approximation by tanh.
#include <cmath>
#include <numbers>

#include "ops/ops.h"
#include "ops/reference_executor.h"
#include "ops/run_executor.h"

namespace fieldprint {
namespace {

Tensor compute(RunExecutor& run, const Tensor& x) {
  Tensor y = run.make(x.rows(), x.cols());
  const int n = static_cast<int>(x.cols());
  run.for_rows(x.rows(), [&](int row) {
    run.kernels().gelu_erf(run.data(x) + int64_t{row} * n, n, run.data(y) + int64_t{row} * n);
  });
  return y;
}

Tensor compute(ReferenceExecutor& reference, const Tensor& x) {
  Tensor y = reference.make(x.rows(), x.cols());
  for (int64_t i = 0; i < x.rows() * x.cols(); ++i) {
    const double z = reference.data(x)[i];
    reference.data(y)[i] = 0.5 * z * std::erfc(-z / std::numbers::sqrt2);
  }
  return y;
}

}  // namespace

Tensor Ops::gelu_erf(const Tensor& x) {
  const OpScope scope(executor_, "gelu_erf");
  return executor_.visit([&](auto& executor) { return compute(executor, x); });
}

}  // namespace fieldprint
