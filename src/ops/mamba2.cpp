// Mamba2 (Dao & Gu 2024), as ops.h has it.
#include <cmath>
#include <vector>

#include "ops/linear_attention.h"

namespace fieldprint {
namespace {

auto group_of(const LinearAttention& net) {
  return [share = net.heads / net.groups](int head) { return head / share; };
}

// exp_of is that of the executor's numbers.
template <class Executor, class Number>
Tensor compute_with(Executor& executor, const LinearAttention& net, const Tensor& xbc, const Tensor& dt,
                    const Weight& skip, Number (*exp_of)(Number)) {
  const int heads = net.heads;
  const int64_t columns = net.columns, inner = heads * columns, part = int64_t{net.groups} * net.keys;
  Tensor y = executor.make(xbc.rows(), inner), stepped = executor.make(xbc.rows(), inner),
         decay = executor.make(xbc.rows(), heads);
  const auto rows = [&](auto&& row) {
    if constexpr (std::is_same_v<Executor, RunExecutor>) {
      executor.for_rows(xbc.rows(), row);
    } else {
      for (int t = 0; t < xbc.rows(); ++t) row(t);
    }
  };
  rows([&](int t) {
    const Number *x = executor.data(xbc) + t * xbc.cols(), *in = executor.data(dt) + t * heads;
    Number *v = executor.data(stepped) + t * inner, *gate = executor.data(decay) + t * heads;
    for (int64_t head = 0; head < heads; ++head) {
      const double step = softplus(static_cast<double>(in[head]) + static_cast<double>(net.bias.floats()[head]));
      gate[head] = exp_of(static_cast<Number>(static_cast<double>(net.decay.floats()[head]) * step));
      for (int64_t i = head * columns; i < (head + 1) * columns; ++i) v[i] = static_cast<Number>(step) * x[i];
    }
  });
  scan_heads(executor, net,
             {.q = executor.data(xbc) + inner + part,
              .k = executor.data(xbc) + inner,
              .key_stride = xbc.cols(),
              .v = executor.data(stepped),
              .value_stride = inner,
              .decay = executor.data(decay),
              .beta = nullptr,
              .gate_stride = heads,
              .o = executor.data(y)},
             group_of(net));
  rows([&](int t) {
    const Number* x = executor.data(xbc) + t * xbc.cols();
    Number* out = executor.data(y) + t * inner;
    for (int64_t head = 0; head < heads; ++head) {
      const auto share = static_cast<Number>(skip.floats()[head]);
      for (int64_t i = head * columns; i < (head + 1) * columns; ++i) out[i] += share * x[i];
    }
  });
  return y;
}

Tensor compute(RunExecutor& run, const LinearAttention& net, const Tensor& xbc, const Tensor& dt, const Weight& skip) {
  return compute_with<RunExecutor, float>(run, net, xbc, dt, skip, exp_f32);
}

Tensor compute(ReferenceExecutor& reference, const LinearAttention& net, const Tensor& xbc, const Tensor& dt,
               const Weight& skip) {
  return compute_with<ReferenceExecutor, double>(reference, net, xbc, dt, skip, std::exp);
}

}  // namespace

Tensor Ops::mamba2(const LinearAttention& net, const Tensor& xbc, const Tensor& dt, const Weight& skip) {
  const OpScope scope(executor_, "mamba2", {}, net.layer);
  return executor_.visit([&](auto& executor) { return compute(executor, net, xbc, dt, skip); });
}

}  // namespace fieldprint
