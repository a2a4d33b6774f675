// x += scale * y.
#include "ops/backward.h"
#include "ops/ops.h"
#include "ops/reference_executor.h"
#include "ops/run_executor.h"

namespace fieldprint {
namespace {

void compute(RunExecutor& run, Tensor& x, const Tensor& y, float scale) {
  float* a = run.data(x);
  const float* b = run.data(y);
  run.arena().changed(x);
  run.for_rows(x.rows(), [&](int row) {
    for (int64_t i = row * x.cols(); i < (row + 1) * x.cols(); ++i) a[i] += scale * b[i];
  });
}

void compute(ReferenceExecutor& reference, Tensor& x, const Tensor& y, float scale) {
  const auto factor = static_cast<double>(scale);
  for (int64_t i = 0; i < x.rows() * x.cols(); ++i) reference.data(x)[i] += factor * reference.data(y)[i];
}

// dy += scale * dx; x's own gradient stays.
template <class AnyExecutor>
void record(AnyExecutor& executor, const Tensor& x, const Tensor& y, float scale) {
  on_tape(executor, {&y}, {}, [&](auto& tape) {
    tape.record(x, [&executor, &tape, x = tape.node(x), y = tape.node(y), scale] {
      const auto* dx = tape.gradient(x);
      auto* dy = tape.gradient(y);
      executor.for_rows(x.rows, [&](int row) {
        for (int64_t i = row * x.cols; i < (row + 1) * x.cols; ++i)
          dy[i] += static_cast<typename AnyExecutor::Number>(scale) * dx[i];
      });
    });
  });
}

}  // namespace

void Ops::add(Tensor& x, const Tensor& y, float scale) {
  const OpScope scope(executor_, "add");
  executor_.visit([&](auto& executor) {
    own(executor, x);
    compute(executor, x, y, scale);
    record(executor, x, y, scale);
  });
}

}  // namespace fieldprint
