// The convolution in front of linear attention: y[t] = silu(bias + sum over taps j of kernel[j] * x[t - (taps - 1) +
// j]).
#include <algorithm>
#include <cassert>
#include <cmath>
#include <vector>

#include "ops/ops.h"
#include "ops/reference_executor.h"
#include "ops/run_executor.h"

namespace fieldprint {
namespace {

constexpr int kColumns = 2048;  // that a thread takes at once

Tensor compute(RunExecutor& run, int layer, const Tensor& x, const Weight& kernel, const Weight& bias) {
  assert(kernel.rows <= kMaxTaps);
  const int width = static_cast<int>(x.cols()), taps = static_cast<int>(kernel.rows), history = taps - 1;
  const int pieces = (width + kColumns - 1) / kColumns;
  Tensor y = run.make(x.rows(), width);
  int64_t row = 0;
  for (const StepSequence& s : run.step().sequences()) {
    float* state = run.sequence(s).recurrent().layer(layer);
    const float* first = run.data(x) + row * width;
    run.for_rows(s.count() * pieces, [&](int task) {
      const int t = task / pieces, begin = task % pieces * kColumns;
      const float* rows[kMaxTaps];
      for (int j = 0; j < taps; ++j) {
        const int64_t at = t - history + j;
        rows[j] = at < 0 ? state + (history + at) * width : first + at * width;
      }
      run.kernels().convolve_silu({.rows = rows,
                                   .kernel = kernel.floats(),
                                   .bias = bias.given() ? bias.floats() : nullptr,
                                   .y = run.data(y) + (row + t) * width,
                                   .taps = taps,
                                   .n = width,
                                   .begin = begin,
                                   .end = std::min(width, begin + kColumns)});
    });
    const int64_t added = std::min(history, s.count()), kept = history - added;
    std::copy(state + added * width, state + history * width, state);
    std::copy(first + (s.count() - added) * width, first + s.count() * int64_t{width}, state + kept * width);
    row += s.count();
  }
  return y;
}

Tensor compute(ReferenceExecutor& reference, int layer, const Tensor& x, const Weight& kernel, const Weight& bias) {
  const int64_t width = x.cols(), taps = kernel.rows;
  Tensor y = reference.make(x.rows(), width);
  const float *w = kernel.floats(), *b = bias.given() ? bias.floats() : nullptr;
  int64_t row = 0;
  for (const StepSequence& s : reference.step().sequences()) {
    History& seen = reference.sequence(s).u[static_cast<size_t>(layer)];
    seen.append(reference.data(x) + row * width, s.count(), width);
    for (int64_t position = s.first_position; position < s.end(); ++position, ++row) {
      for (int64_t i = 0; i < width; ++i) {
        double sum = b != nullptr ? static_cast<double>(b[i]) : 0;
        for (int64_t j = 0; j < taps; ++j) {
          const int64_t at = position - (taps - 1) + j;
          if (at >= 0) sum += static_cast<double>(w[j * width + i]) * seen.values[static_cast<size_t>(at * width + i)];
        }
        reference.data(y)[row * width + i] = sum / (1.0 + std::exp(-sum));
      }
    }
  }
  return y;
}

}  // namespace

Tensor Ops::conv_silu(int layer, const Tensor& x, const Weight& kernel, const Weight& bias) {
  const OpScope scope(executor_, "conv_silu", {}, layer);
  return executor_.visit([&](auto& executor) { return compute(executor, layer, x, kernel, bias); });
}

}  // namespace fieldprint
