// Heads whose rows hold several things side by side: a query and its gate.
#include <algorithm>

#include "ops/backward.h"
#include "ops/ops.h"
#include "ops/reference_executor.h"
#include "ops/run_executor.h"

namespace fieldprint {
namespace {

template <class Executor>
Tensor compute(Executor& executor, const Tensor& x, int heads, int part, int parts) {
  const int64_t whole = x.cols() / heads, taken = whole / parts;
  Tensor y = executor.make(x.rows(), heads * taken);
  const auto* in = executor.data(x) + part * taken;
  auto* out = executor.data(y);
  for (int64_t i = 0; i < int64_t{x.rows()} * heads; ++i, in += whole, out += taken) std::copy(in, in + taken, out);
  return y;
}

template <class AnyExecutor>
void record(AnyExecutor& executor, const Tensor& x, int heads, int part, int parts, const Tensor& y) {
  on_tape(executor, {&x}, {}, [&](auto& tape) {
    tape.record(y, [&executor, &tape, x = tape.node(x), y = tape.node(y), heads, part, parts] {
      const int64_t whole = x.cols / heads, taken = whole / parts;
      const auto* dy = tape.gradient(y);
      auto* dx = tape.gradient(x);
      executor.for_rows(x.rows, [&](int row) {
        for (int64_t h = 0; h < heads; ++h) {
          const int64_t from = row * y.cols + h * taken, to = row * x.cols + h * whole + part * taken;
          for (int64_t i = 0; i < taken; ++i) dx[to + i] += dy[from + i];
        }
      });
    });
  });
}

}  // namespace

Tensor Ops::head_part(const Tensor& x, int heads, int part, int parts) {
  const OpScope scope(executor_, "head_part");
  return executor_.visit([&](auto& executor) {
    Tensor y = compute(executor, x, heads, part, parts);
    record(executor, x, heads, part, parts, y);
    return y;
  });
}

}  // namespace fieldprint
