// Heads whose rows hold several things side by side: a query and its gate.
#include <algorithm>

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

}  // namespace

Tensor Ops::head_part(const Tensor& x, int heads, int part, int parts) {
  const OpScope scope(executor_, "head_part");
  return executor_.visit([&](auto& executor) { return compute(executor, x, heads, part, parts); });
}

}  // namespace fieldprint
