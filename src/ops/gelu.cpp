// y = gelu(x) in the tanh form (Hendrycks & Gimpel 2016): what GPT-2 has between its two matrices.
#include <algorithm>
#include <cmath>
#include <vector>

#include "ops/backward.h"
#include "ops/gelu_slope.h"
#include "ops/ops.h"
#include "ops/reference_executor.h"
#include "ops/run_executor.h"

namespace fieldprint {
namespace {

// gelu(x) * 1 is gelu(x) to the bit, so the slot gelu_mul serves.
struct GeluOnes {
  std::vector<float> values;
};

Tensor compute(RunExecutor& run, const Tensor& x) {
  Tensor y = run.make(x.rows(), x.cols());
  const int n = static_cast<int>(x.cols());
  std::vector<float>& ones = run.memory<GeluOnes>().values;
  ones.resize(std::max(ones.size(), static_cast<size_t>(n)), 1.0f);
  run.for_rows(x.rows(), [&](int row) {
    const int64_t at = int64_t{row} * n;
    run.kernels().gelu_mul(run.data(x) + at, ones.data(), n, run.data(y) + at);
  });
  return y;
}

Tensor compute(ReferenceExecutor& reference, const Tensor& x) {
  constexpr double kSqrtTwoOverPi = 0.79788456080286535588;
  Tensor y = reference.make(x.rows(), x.cols());
  for (int64_t i = 0; i < x.rows() * x.cols(); ++i) {
    const double z = reference.data(x)[i];
    reference.data(y)[i] = 0.5 * z * (1 + std::tanh(kSqrtTwoOverPi * (z + 0.044715 * z * z * z)));
  }
  return y;
}

template <class AnyExecutor>
void record(AnyExecutor& executor, const Tensor& x, const Tensor& y) {
  on_tape(executor, {&x}, {}, [&](auto& tape) {
    tape.record(y, [&executor, &tape, x = tape.keep(x), y = tape.node(y)] {
      const auto *in = tape.values(x), *dy = tape.gradient(y);
      auto* dx = tape.gradient(x);
      executor.for_rows(x.rows, [&](int row) {
        for (int64_t i = row * x.cols; i < (row + 1) * x.cols; ++i) dx[i] += dy[i] * gelu_slope(in[i]).slope;
      });
    });
  });
}

}  // namespace

Tensor Ops::gelu(const Tensor& x) {
  const OpScope scope(executor_, "gelu");
  return executor_.visit([&](auto& executor) {
    Tensor y = compute(executor, x);
    record(executor, x, y);
    return y;
  });
}

}  // namespace fieldprint
