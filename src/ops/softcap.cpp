// x = cap * tanh(x / cap): logits stay within -cap .. cap (Gemma 2, 2024).
#include <algorithm>
#include <cmath>

#include "ops/backward.h"
#include "ops/ops.h"
#include "ops/reference_executor.h"
#include "ops/run_executor.h"

namespace fieldprint {
namespace {

void compute(RunExecutor& run, Tensor& x, float cap) {
  constexpr int64_t kPiece = 4096;  // a row may be as long as a vocabulary
  const int64_t count = x.rows() * x.cols();
  float* values = run.data(x);
  run.arena().changed(x);
  run.pool().run((count + kPiece - 1) / kPiece, [&](int64_t piece, int) {
    const int64_t begin = piece * kPiece;
    run.kernels().softcap(values + begin, static_cast<int>(std::min(kPiece, count - begin)), 1, cap);
  });
}

void compute(ReferenceExecutor& reference, Tensor& x, float cap) {
  const auto c = static_cast<double>(cap);
  for (int64_t i = 0; i < x.rows() * x.cols(); ++i) reference.data(x)[i] = c * std::tanh(reference.data(x)[i] / c);
}

// With y = cap * tanh(x / cap): dx = dy * (1 - (y / cap)^2).
template <class AnyExecutor>
void record(AnyExecutor& executor, const Tensor& x, float cap) {
  using Number = typename AnyExecutor::Number;
  on_tape(executor, {&x}, {}, [&](auto& tape) {
    tape.record(x, [&executor, &tape, x = tape.keep(x), cap] {
      const Number* y = tape.values(x);
      Number* dx = tape.gradient(x);
      executor.for_rows(x.rows, [&](int row) {
        for (int64_t i = row * x.cols; i < (row + 1) * x.cols; ++i) {
          const Number t = y[i] / static_cast<Number>(cap);
          dx[i] *= 1 - t * t;
        }
      });
    });
  });
}

}  // namespace

void Ops::softcap(Tensor& x, float cap) {
  const OpScope scope(executor_, "softcap");
  executor_.visit([&](auto& executor) {
    own(executor, x);
    compute(executor, x, cap);
    record(executor, x, cap);
  });
}

}  // namespace fieldprint
