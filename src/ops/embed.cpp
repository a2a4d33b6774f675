// y[t] = row `token t` of the table.
#include <algorithm>
#include <vector>

#include "ops/backward.h"
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

// The gradient of a row of the table is the sum over the tokens that read it.
template <class AnyExecutor>
void record(AnyExecutor& executor, const Weight& table, const Tensor& y) {
  on_tape(executor, {}, {&table}, [&](auto& tape) {
    std::vector<TokenId> tokens;
    for (const StepSequence& s : executor.step().sequences())
      tokens.insert(tokens.end(), s.tokens.begin(), s.tokens.end());
    tape.record(y, [&executor, &tape, y = tape.node(y), table, tokens = std::move(tokens)] {
      const auto* dy = tape.gradient(y);
      auto* dw = tape.gradient(table);
      for_columns(executor, y.cols, [&](int64_t begin, int64_t end) {
        for (int64_t row = 0; row < y.rows; ++row)
          for (int64_t i = begin; i < end; ++i)
            dw[tokens[static_cast<size_t>(row)] * y.cols + i] += dy[row * y.cols + i];
      });
    });
  });
}

}  // namespace

Tensor Ops::embed(const Weight& table) {
  const OpScope scope(executor_, "embed", table.name);
  return executor_.visit([&](auto& executor) {
    Tensor y = compute(executor, table);
    record(executor, table, y);
    return y;
  });
}

}  // namespace fieldprint
