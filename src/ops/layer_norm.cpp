// Ba et al. 2016: y = (x - mean(x)) / sqrt(variance(x) + eps) * weight + bias.
#include <cmath>
#include <vector>

#include "ops/backward.h"
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

// With h = (x - mean(x)) / sqrt(variance(x) + eps) and g = dy * weight:
//   dx = (g - mean(g) - h * mean(g h)) / sqrt(variance(x) + eps);  dweight = sum over rows of dy h, dbias of dy
template <class AnyExecutor>
void record(AnyExecutor& executor, const Tensor& x, const Weight& weight, const Weight& bias, float eps,
            const Tensor& y) {
  using Number = typename AnyExecutor::Number;
  on_tape(executor, {&x}, {&weight, &bias}, [&](auto& tape) {
    tape.record(y, [&executor, &tape, x = tape.keep(x), y = tape.node(y), weight, bias, eps] {
      const int64_t n = x.cols;
      const Number *in = tape.values(x), *dy = tape.gradient(y);
      Number *dx = tape.wants(x) ? tape.gradient(x) : nullptr, *dw = tape.gradient(weight), *db = tape.gradient(bias);
      std::vector<Number> means(static_cast<size_t>(x.rows)), scales(means.size());
      executor.for_rows(x.rows, [&](int row) {
        const int64_t at = row * n;
        const auto count = static_cast<double>(n);
        double mean = 0, variance = 0, sum = 0, along = 0;
        for (int64_t i = at; i < at + n; ++i) mean += static_cast<double>(in[i]);
        mean /= count;
        for (int64_t i = at; i < at + n; ++i) {
          const double v = static_cast<double>(in[i]) - mean,
                       g = static_cast<double>(dy[i]) * static_cast<double>(weight.floats()[i - at]);
          variance += v * v;
          sum += g;
          along += g * v;
        }
        const double scale = 1.0 / std::sqrt(variance / count + static_cast<double>(eps));
        means[static_cast<size_t>(row)] = static_cast<Number>(mean);
        scales[static_cast<size_t>(row)] = static_cast<Number>(scale);
        if (dx == nullptr) return;
        const auto m = static_cast<Number>(mean), s = static_cast<Number>(scale),
                   mean_g = static_cast<Number>(scale * sum / count),
                   back = static_cast<Number>(scale * scale * scale * along / count);
        for (int64_t i = at; i < at + n; ++i)
          dx[i] += dy[i] * static_cast<Number>(weight.floats()[i - at]) * s - mean_g - (in[i] - m) * back;
      });
      for_columns(executor, n, [&](int64_t begin, int64_t end) {
        for (int64_t row = 0; row < x.rows; ++row) {
          const Number m = means[static_cast<size_t>(row)], s = scales[static_cast<size_t>(row)];
          for (int64_t i = begin; i < end; ++i) {
            if (dw != nullptr) dw[i] += dy[row * n + i] * ((in[row * n + i] - m) * s);
            if (db != nullptr) db[i] += dy[row * n + i];
          }
        }
      });
    });
  });
}

}  // namespace

Tensor Ops::layer_norm(const Tensor& x, const Weight& weight, const Weight& bias, float eps) {
  const OpScope scope(executor_, "layer_norm", weight.name);
  return executor_.visit([&](auto& executor) {
    Tensor y = compute(executor, x, weight, bias, eps);
    record(executor, x, weight, bias, eps, y);
    return y;
  });
}

}  // namespace fieldprint
