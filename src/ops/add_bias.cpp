// x[t, i] += bias[i].
#include "ops/backward.h"
#include "ops/ops.h"
#include "ops/reference_executor.h"
#include "ops/run_executor.h"

namespace fieldprint {
namespace {

void compute(RunExecutor& run, Tensor& x, const Weight& bias) {
  const float* b = bias.floats();
  run.arena().changed(x);
  run.for_rows(x.rows(), [&](int row) {
    float* out = run.data(x) + row * x.cols();
    for (int64_t i = 0; i < x.cols(); ++i) out[i] += b[i];
  });
}

void compute(ReferenceExecutor& reference, Tensor& x, const Weight& bias) {
  for (int64_t i = 0; i < x.rows() * x.cols(); ++i)
    reference.data(x)[i] += static_cast<double>(bias.floats()[i % x.cols()]);
}

// dbias = sum over rows of dx; x's own gradient stays.
template <class AnyExecutor>
void record(AnyExecutor& executor, const Tensor& x, const Weight& bias) {
  on_tape(executor, {}, {&bias}, [&](auto& tape) {
    tape.record(x, [&executor, &tape, x = tape.node(x), bias] {
      const auto* dx = tape.gradient(x);
      auto* db = tape.gradient(bias);
      for_columns(executor, x.cols, [&](int64_t begin, int64_t end) {
        for (int64_t row = 0; row < x.rows; ++row)
          for (int64_t i = begin; i < end; ++i) db[i] += dx[row * x.cols + i];
      });
    });
  });
}

}  // namespace

void Ops::add_bias(Tensor& x, const Weight& bias) {
  assert(bias.cols == x.cols());
  const OpScope scope(executor_, "add_bias", bias.name);
  executor_.visit([&](auto& executor) {
    own(executor, x);
    compute(executor, x, bias);
    record(executor, x, bias);
  });
}

}  // namespace fieldprint
