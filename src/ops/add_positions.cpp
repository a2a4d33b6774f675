// x[t] += row `position of t` of the table: learned position embeddings.
#include <cassert>
#include <vector>

#include "ops/backward.h"
#include "ops/ops.h"
#include "ops/reference_executor.h"
#include "ops/run_executor.h"

namespace fieldprint {
namespace {

struct PositionRow {
  std::vector<float> values;
};

void compute(RunExecutor& run, Tensor& x, const Weight& table) {
  std::vector<float>& row = run.memory<PositionRow>().values;
  row.resize(static_cast<size_t>(table.cols));
  run.arena().changed(x);
  for (int t = 0; t < x.rows(); ++t) {
    table.type->decode(table.data + run.step().position(t) * table.row_bytes(), row.data(), table.cols);
    float* out = run.data(x) + t * table.cols;
    for (int64_t i = 0; i < table.cols; ++i) out[i] += row[static_cast<size_t>(i)];
  }
}

void compute(ReferenceExecutor& reference, Tensor& x, const Weight& table) {
  for (int t = 0; t < x.rows(); ++t) {
    const float* row = reference.decoded_row(table, reference.step().position(t));
    for (int64_t i = 0; i < table.cols; ++i) reference.data(x)[t * table.cols + i] += static_cast<double>(row[i]);
  }
}

// The gradient of a row of the table is the sum over the tokens at its position; x's own gradient stays.
template <class AnyExecutor>
void record(AnyExecutor& executor, const Tensor& x, const Weight& table) {
  on_tape(executor, {}, {&table}, [&](auto& tape) {
    std::vector<int> positions;
    for (int t = 0; t < x.rows(); ++t) positions.push_back(executor.step().position(t));
    tape.record(x, [&executor, &tape, x = tape.node(x), table, positions = std::move(positions)] {
      const auto* dx = tape.gradient(x);
      auto* dw = tape.gradient(table);
      for_columns(executor, x.cols, [&](int64_t begin, int64_t end) {
        for (int64_t row = 0; row < x.rows; ++row)
          for (int64_t i = begin; i < end; ++i)
            dw[positions[static_cast<size_t>(row)] * x.cols + i] += dx[row * x.cols + i];
      });
    });
  });
}

}  // namespace

void Ops::add_positions(Tensor& x, const Weight& table) {
  assert(x.rows() == executor_.step().rows() && x.cols() == table.cols);
  const OpScope scope(executor_, "add_positions", table.name);
  executor_.visit([&](auto& executor) {
    own(executor, x);
    compute(executor, x, table);
    record(executor, x, table);
  });
}

}  // namespace fieldprint
