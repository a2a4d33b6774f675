// The gated short convolution of LFM2 (Liquid AI 2025): with B, C, z = split(bcz) and u = B * z,
//   y[t] = C[t] * sum over taps j of kernel[j] * u[t - (taps - 1) + j]
#include <algorithm>
#include <vector>

#include "ops/backward.h"
#include "ops/ops.h"
#include "ops/reference_executor.h"
#include "ops/run_executor.h"

namespace fieldprint {
namespace {

Tensor compute(RunExecutor& run, int layer, const Tensor& bcz, const Weight& kernel) {
  const int64_t width = bcz.cols() / 3, history = kernel.rows - 1;
  Tensor y = run.make(bcz.rows(), width);
  const float* taps = kernel.floats();
  int row = 0;
  for (const StepSequence& s : run.step().sequences()) {
    float* state = run.sequence(s).recurrent().layer(layer);
    Tensor inputs = run.make(s.count() + static_cast<int>(history), width);  // u, the kept ones first
    float* u = run.data(inputs);
    std::copy(state, state + history * width, u);
    run.for_rows(s.count(), [&](int t) {
      const float* b = run.data(bcz) + (row + t) * bcz.cols();
      float* out = u + (history + t) * width;
      for (int64_t i = 0; i < width; ++i) out[i] = b[i] * b[2 * width + i];
    });
    run.for_rows(s.count(), [&](int t) {
      const float* c = run.data(bcz) + (row + t) * bcz.cols() + width;
      float* out = run.data(y) + (row + t) * width;
      for (int64_t i = 0; i < width; ++i) out[i] = taps[i] * u[t * width + i];
      for (int64_t j = 1; j <= history; ++j) {
        for (int64_t i = 0; i < width; ++i) out[i] += taps[j * width + i] * u[(t + j) * width + i];
      }
      for (int64_t i = 0; i < width; ++i) out[i] *= c[i];
    });
    std::copy(u + s.count() * width, u + (s.count() + history) * width, state);
    row += s.count();
  }
  return y;
}

Tensor compute(ReferenceExecutor& reference, int layer, const Tensor& bcz, const Weight& kernel) {
  const int64_t width = bcz.cols() / 3, taps = kernel.rows;
  Tensor y = reference.make(bcz.rows(), width);
  const float* w = kernel.floats();
  int64_t row = 0;
  for (const StepSequence& s : reference.step().sequences()) {
    History& u = reference.sequence(s).u[static_cast<size_t>(layer)];
    for (int position = s.first_position; position < s.end(); ++position, ++row) {
      const double* b = reference.data(bcz) + row * bcz.cols();
      const double *c = b + width, *z = c + width;
      std::vector<double> input(static_cast<size_t>(width));
      for (int64_t i = 0; i < width; ++i) input[static_cast<size_t>(i)] = b[i] * z[i];
      u.append(input.data(), 1, width);
      for (int64_t i = 0; i < width; ++i) {
        double sum = 0;
        for (int64_t j = 0; j < taps; ++j) {
          const int64_t at = position - (taps - 1) + j;
          if (at >= 0) sum += static_cast<double>(w[j * width + i]) * u.values[static_cast<size_t>(at * width + i)];
        }
        reference.data(y)[row * width + i] = c[i] * sum;
      }
    }
  }
  return y;
}

// With s = conv(u) and ds = dy C: dC = dy s, dkernel[j] += ds[t] u[at], du[at] += kernel[j] ds[t] where tap j of t
// looks at row `at` of the same sequence; dB = du z, dz = du B.
template <class AnyExecutor>
void record(AnyExecutor& executor, const Tensor& bcz, const Weight& kernel, const Tensor& y) {
  using Number = typename AnyExecutor::Number;
  on_tape(executor, {&bcz}, {&kernel}, [&](auto& tape) {
    tape.record(y, [&executor, &tape, in = tape.keep(bcz), y = tape.node(y), kernel,
                    sequences = rows_of_sequences(executor.step())] {
      const int64_t width = y.cols, taps = kernel.rows;
      const Number *dy = tape.gradient(y), *values = tape.values(in);
      Number *din = tape.gradient(in), *dw = tape.gradient(kernel);
      const float* w = kernel.floats();
      for_columns(executor, width, [&](int64_t begin, int64_t end) {
        Number s[kColumnPiece], ds[kColumnPiece];
        for (const SequenceRows& rows : sequences) {
          for (int64_t t = rows.begin; t < rows.end; ++t) {
            const Number *c = values + t * in.cols + width, *by_y = dy + t * width;
            for (int64_t i = begin; i < end; ++i) s[i - begin] = 0, ds[i - begin] = by_y[i] * c[i];
            for (int64_t j = std::max<int64_t>(0, taps - 1 - (t - rows.begin)); j < taps; ++j) {
              const int64_t at = t - (taps - 1) + j;
              const Number *b = values + at * in.cols, *z = b + 2 * width;
              Number *db = din + at * in.cols, *dz = db + 2 * width;
              for (int64_t i = begin; i < end; ++i) {
                const Number u = b[i] * z[i], tap = static_cast<Number>(w[j * width + i]), du = tap * ds[i - begin];
                s[i - begin] += tap * u;
                db[i] += du * z[i];
                dz[i] += du * b[i];
                if (dw != nullptr) dw[j * width + i] += ds[i - begin] * u;
              }
            }
            Number* dc = din + t * in.cols + width;
            for (int64_t i = begin; i < end; ++i) dc[i] += by_y[i] * s[i - begin];
          }
        }
      });
    });
  });
}

}  // namespace

Tensor Ops::shortconv(int layer, const Tensor& bcz, const Weight& kernel) {
  const OpScope scope(executor_, "shortconv", {}, layer);
  return executor_.visit([&](auto& executor) {
    Tensor y = compute(executor, layer, bcz, kernel);
    record(executor, bcz, kernel, y);
    return y;
  });
}

}  // namespace fieldprint
