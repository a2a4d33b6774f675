// The rows that want logits: all of a sequence's, its last one or none.
#include <utility>
#include <vector>

#include "ops/backward.h"
#include "ops/ops.h"
#include "ops/reference_executor.h"
#include "ops/run_executor.h"

namespace fieldprint {
namespace {

std::vector<int64_t> wanted_rows(const Step& step) {
  std::vector<int64_t> rows;
  int64_t first = 0;
  for (const StepSequence& s : step.sequences()) {
    for (int i = 0; i < s.output_rows(); ++i) rows.push_back(first + s.output_row(i));
    first += s.count();
  }
  return rows;
}

template <class AnyExecutor>
Tensor compute(AnyExecutor& executor, const Tensor& x) {
  Tensor y = executor.make(executor.step().output_rows(), x.cols());
  auto* to = executor.data(y);
  for (const int64_t row : wanted_rows(executor.step()))
    to = std::copy_n(executor.data(x) + row * x.cols(), x.cols(), to);
  return y;
}

template <class AnyExecutor>
void record(AnyExecutor& executor, const Tensor& x, const Tensor& y) {
  on_tape(executor, {&x}, {}, [&](auto& tape) {
    tape.record(y, [&executor, &tape, x = tape.node(x), y = tape.node(y), rows = wanted_rows(executor.step())] {
      const auto* dy = tape.gradient(y);
      auto* dx = tape.gradient(x);
      executor.for_rows(y.rows, [&](int row) {
        const int64_t to = rows[static_cast<size_t>(row)] * x.cols;
        for (int64_t i = 0; i < x.cols; ++i) dx[to + i] += dy[row * x.cols + i];
      });
    });
  });
}

}  // namespace

Tensor Ops::output_rows(Tensor x) {
  if (executor_.step().output_rows() == x.rows()) return x;
  return executor_.visit([&](auto& executor) {
    Tensor y = compute(executor, x);
    record(executor, x, y);
    return y;
  });
}

}  // namespace fieldprint
