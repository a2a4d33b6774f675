// Zhang & Sennrich 2019: y = x / sqrt(mean(x^2) + eps) * weight.
#include <cmath>
#include <vector>

#include "ops/backward.h"
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

// With n values in a group, h = x / sqrt(mean(x^2) + eps) and g = dy * weight:
//   dx = (g - h * mean(g h)) / sqrt(mean(x^2) + eps);  dweight = sum over rows of dy h
template <class AnyExecutor>
void record(AnyExecutor& executor, const Tensor& x, const Weight& weight, float eps, const Tensor& y) {
  using Number = typename AnyExecutor::Number;
  on_tape(executor, {&x}, {&weight}, [&](auto& tape) {
    tape.record(y, [&executor, &tape, x = tape.keep(x), y = tape.node(y), weight, eps] {
      const int64_t n = weight.cols, groups = x.cols / n;
      const Number *in = tape.values(x), *dy = tape.gradient(y);
      Number *dx = tape.wants(x) ? tape.gradient(x) : nullptr, *dw = tape.gradient(weight);
      std::vector<Number> scales(static_cast<size_t>(x.rows * groups));
      executor.for_rows(x.rows, [&](int row) {
        for (int64_t group = 0; group < groups; ++group) {
          const int64_t at = row * x.cols + group * n;
          const float* w = weight.floats() + group % weight.rows * n;
          double squares = 0, along = 0;
          for (int64_t i = 0; i < n; ++i) {
            const double v = static_cast<double>(in[at + i]);
            squares += v * v;
            along += v * static_cast<double>(dy[at + i]) * static_cast<double>(w[i]);
          }
          const double scale = 1.0 / std::sqrt(squares / static_cast<double>(n) + static_cast<double>(eps));
          scales[static_cast<size_t>(row * groups + group)] = static_cast<Number>(scale);
          if (dx == nullptr) continue;
          const auto s = static_cast<Number>(scale),
                     back = static_cast<Number>(scale * scale * scale * along / static_cast<double>(n));
          for (int64_t i = at; i < at + n; ++i) dx[i] += dy[i] * static_cast<Number>(w[i - at]) * s - in[i] * back;
        }
      });
      if (dw == nullptr) return;
      for_columns(executor, weight.rows * n, [&](int64_t begin, int64_t end) {
        for (int64_t row = 0; row < x.rows; ++row) {
          for (int64_t group = 0; group < groups; ++group) {
            const int64_t at = row * x.cols + group * n, to = group % weight.rows * n;
            const Number s = scales[static_cast<size_t>(row * groups + group)];
            for (int64_t i = std::max(begin, to); i < std::min(end, to + n); ++i)
              dw[i] += dy[at + i - to] * (in[at + i - to] * s);
          }
        }
      });
    });
  });
}

}  // namespace

Tensor Ops::rms_norm(const Tensor& x, const Weight& weight, float eps) {
  const OpScope scope(executor_, "rms_norm", weight.name);
  return executor_.visit([&](auto& executor) {
    Tensor y = compute(executor, x, weight, eps);
    record(executor, x, weight, eps, y);
    return y;
  });
}

}  // namespace fieldprint
