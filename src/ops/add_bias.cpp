// x[t, i] += bias[i].
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

}  // namespace

void Ops::add_bias(Tensor& x, const Weight& bias) {
  assert(bias.cols == x.cols());
  const OpScope scope(executor_, "add_bias", bias.name);
  executor_.visit([&](auto& executor) { compute(executor, x, bias); });
}

}  // namespace fieldprint
