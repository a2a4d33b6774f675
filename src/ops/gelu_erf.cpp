// y = x Phi(x), Phi the normal distribution (Hendrycks & Gimpel 2016): BERT's GELU, without the approximation by tanh.
#include <cmath>
#include <numbers>

#include "ops/backward.h"
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

// dx = dy (Phi(x) + x phi(x)), phi the density of the normal distribution; Phi(x) = y / x.
template <class AnyExecutor>
void record(AnyExecutor& executor, const Tensor& x, const Tensor& y) {
  using Number = typename AnyExecutor::Number;
  on_tape(executor, {&x}, {}, [&](auto& tape) {
    tape.record(y, [&executor, &tape, x = tape.keep(x), y = tape.keep(y)] {
      const Number *in = tape.values(x), *out = tape.values(y), *dy = tape.gradient(y);
      Number* dx = tape.gradient(x);
      executor.for_rows(x.rows, [&](int row) {
        for (int64_t i = row * x.cols; i < (row + 1) * x.cols; ++i) {
          constexpr Number kDensity = Number{1} / static_cast<Number>(2.5066282746310002);  // 1 / sqrt(2 pi)
          const Number z = in[i], below = std::fabs(z) > Number(1e-6) ? out[i] / z : Number(0.5) + z * kDensity;
          dx[i] += dy[i] * (below + z * kDensity * exp_of(-z * z / 2));
        }
      });
    });
  });
}

}  // namespace

Tensor Ops::gelu_erf(const Tensor& x) {
  const OpScope scope(executor_, "gelu_erf");
  return executor_.visit([&](auto& executor) {
    Tensor y = compute(executor, x);
    record(executor, x, y);
    return y;
  });
}

}  // namespace fieldprint
