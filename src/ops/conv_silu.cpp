// The convolution in front of linear attention: y[t] = silu(bias + sum over taps j of kernel[j] * x[t - (taps - 1) +
// j]).
#include <algorithm>
#include <cassert>
#include <cmath>
#include <vector>

#include "ops/backward.h"
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

// With c = bias + conv(x), s = sigmoid(c) and dc = dy s (1 + c (1 - s)): dbias = sum of dc, dkernel[j] += dc[t] x[at],
// dx[at] += kernel[j] dc[t] where tap j of t looks at row `at` of the same sequence.
template <class AnyExecutor>
void record(AnyExecutor& executor, const Tensor& x, const Weight& kernel, const Weight& bias, const Tensor& y) {
  using Number = typename AnyExecutor::Number;
  on_tape(executor, {&x}, {&kernel, &bias}, [&](auto& tape) {
    tape.record(y, [&executor, &tape, x = tape.keep(x), y = tape.node(y), kernel, bias,
                    sequences = rows_of_sequences(executor.step())] {
      const int64_t width = y.cols, taps = kernel.rows;
      const Number *dy = tape.gradient(y), *in = tape.values(x);
      Number *dx = tape.gradient(x), *dw = tape.gradient(kernel), *db = bias.given() ? tape.gradient(bias) : nullptr;
      const float* w = kernel.floats();
      for_columns(executor, width, [&](int64_t begin, int64_t end) {
        Number c[kColumnPiece], s[kColumnPiece], dc[kColumnPiece];
        const int64_t n = end - begin;
        for (const SequenceRows& rows : sequences) {
          for (int64_t t = rows.begin; t < rows.end; ++t) {
            const int64_t first = std::max<int64_t>(0, taps - 1 - (t - rows.begin));  // tap that sees the sequence
            for (int64_t i = 0; i < n; ++i) c[i] = bias.given() ? static_cast<Number>(bias.floats()[begin + i]) : 0;
            for (int64_t j = first; j < taps; ++j) {
              const Number* at = in + (t - (taps - 1) + j) * width + begin;
              for (int64_t i = 0; i < n; ++i) c[i] += static_cast<Number>(w[j * width + begin + i]) * at[i];
            }
            sigmoids(executor, c, static_cast<int>(n), s);
            for (int64_t i = 0; i < n; ++i) dc[i] = dy[t * width + begin + i] * s[i] * (1 + c[i] * (1 - s[i]));
            for (int64_t i = 0; db != nullptr && i < n; ++i) db[begin + i] += dc[i];
            for (int64_t j = first; j < taps; ++j) {
              const int64_t at = (t - (taps - 1) + j) * width + begin;
              for (int64_t i = 0; i < n; ++i) dx[at + i] += static_cast<Number>(w[j * width + begin + i]) * dc[i];
              for (int64_t i = 0; dw != nullptr && i < n; ++i) dw[j * width + begin + i] += dc[i] * in[at + i];
            }
          }
        }
      });
    });
  });
}

}  // namespace

Tensor Ops::conv_silu(int layer, const Tensor& x, const Weight& kernel, const Weight& bias) {
  const OpScope scope(executor_, "conv_silu", {}, layer);
  return executor_.visit([&](auto& executor) {
    Tensor y = compute(executor, layer, x, kernel, bias);
    record(executor, x, kernel, bias, y);
    return y;
  });
}

}  // namespace fieldprint
