// x *= factor.
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

}  // namespace

void Ops::scale(Tensor& x, float factor) {
  const OpScope scope(executor_, "scale");
  executor_.visit([&](auto& executor) { compute(executor, x, factor); });
}

}  // namespace fieldprint
