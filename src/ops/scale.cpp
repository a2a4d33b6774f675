// x *= factor.
#include "ops/backward.h"
#include "ops/ops.h"
#include "ops/reference_executor.h"
#include "ops/run_executor.h"

namespace fieldprint {
namespace {

void compute(RunExecutor& run, Tensor& x, float factor) {
  run.arena().changed(x);
  run.for_rows(x.rows(), [&](int row) {
    float* out = run.data(x) + row * x.cols();
    for (int64_t i = 0; i < x.cols(); ++i) out[i] *= factor;
  });
}

void compute(ReferenceExecutor& reference, Tensor& x, float factor) {
  for (int64_t i = 0; i < x.rows() * x.cols(); ++i) reference.data(x)[i] *= static_cast<double>(factor);
}

// What was dx of the scaled x becomes that of x before.
template <class AnyExecutor>
void record(AnyExecutor& executor, const Tensor& x, float factor) {
  on_tape(executor, {&x}, {}, [&](auto& tape) {
    tape.record(x, [&executor, &tape, x = tape.node(x), factor] {
      auto* dx = tape.gradient(x);
      executor.for_rows(x.rows, [&](int row) {
        for (int64_t i = row * x.cols; i < (row + 1) * x.cols; ++i)
          dx[i] *= static_cast<typename AnyExecutor::Number>(factor);
      });
    });
  });
}

}  // namespace

void Ops::scale(Tensor& x, float factor) {
  const OpScope scope(executor_, "scale");
  executor_.visit([&](auto& executor) {
    own(executor, x);
    compute(executor, x, factor);
    record(executor, x, factor);
  });
}

}  // namespace fieldprint
