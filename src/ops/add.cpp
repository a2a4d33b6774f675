// x += scale * y.
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

}  // namespace

void Ops::add(Tensor& x, const Tensor& y, float scale) {
  const OpScope scope(executor_, "add");
  executor_.visit([&](auto& executor) { compute(executor, x, y, scale); });
}

}  // namespace fieldprint
