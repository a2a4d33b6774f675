// y[t] = row `token t` of the table.
#include <algorithm>

#include "ops/ops.h"
#include "ops/reference_executor.h"
#include "ops/run_executor.h"

namespace fieldprint {
namespace {

Tensor compute(RunExecutor& run, const Weight& table) {
  Tensor y = run.make(run.step().rows(), table.cols);
  float* out = run.data(y);
  for (const StepSequence& s : run.step().sequences()) {
    for (const TokenId token : s.tokens) {
      table.type->decode(table.data + token * table.row_bytes(), out, table.cols);
      out += table.cols;
    }
  }
  return y;
}

Tensor compute(ReferenceExecutor& reference, const Weight& table) {
  Tensor y = reference.make(reference.step().rows(), table.cols);
  double* out = reference.data(y);
  for (const StepSequence& s : reference.step().sequences()) {
    for (const TokenId token : s.tokens) {
      const float* row = reference.decoded_row(table, token);
      out = std::copy(row, row + table.cols, out);
    }
  }
  return y;
}

}  // namespace

Tensor Ops::embed(const Weight& table) {
  const OpScope scope(executor_, "embed", table.name);
  return executor_.visit([&](auto& executor) { return compute(executor, table); });
}

}  // namespace fieldprint
