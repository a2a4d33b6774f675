// The rows that want logits: all of a sequence's, its last one or none.
#include <utility>

#include "ops/ops.h"
#include "ops/reference_executor.h"
#include "ops/run_executor.h"

namespace fieldprint {
namespace {

template <class Element>
void copy_rows(const Step& step, const Element* x, int64_t cols, Element* y) {
  for (const StepSequence& s : step.sequences()) {
    for (int64_t i = (s.count() - s.output_rows()) * cols; i < s.count() * cols; ++i) *y++ = x[i];
    x += s.count() * cols;
  }
}

Tensor compute(RunExecutor& run, const Tensor& x) {
  Tensor y = run.make(run.step().output_rows(), x.cols());
  copy_rows(run.step(), run.data(x), x.cols(), run.data(y));
  return y;
}

Tensor compute(ReferenceExecutor& reference, const Tensor& x) {
  Tensor y = reference.make(reference.step().output_rows(), x.cols());
  copy_rows(reference.step(), reference.data(x), x.cols(), reference.data(y));
  return y;
}

}  // namespace

Tensor Ops::output_rows(Tensor x) {
  if (executor_.step().output_rows() == x.rows()) return x;
  return executor_.visit([&](auto& executor) { return compute(executor, x); });
}

}  // namespace fieldprint
