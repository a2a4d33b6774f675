// Mamba2 (Dao & Gu 2024), as ops.h has it.
#include <cmath>
#include <vector>

#include "ops/linear_attention.h"

namespace fieldprint {
namespace {

auto group_of(const LinearAttention& net) {
  return [share = net.heads / net.groups](int head) { return head / share; };
}

template <class AnyExecutor>
Tensor compute(AnyExecutor& executor, const LinearAttention& net, const Tensor& xbc, const Tensor& dt,
               const Weight& skip) {
  using Number = typename AnyExecutor::Number;
  const int heads = net.heads;
  const int64_t columns = net.columns, inner = heads * columns, part = int64_t{net.groups} * net.keys;
  Tensor y = executor.make(xbc.rows(), inner), stepped = executor.make(xbc.rows(), inner),
         decay = executor.make(xbc.rows(), heads);
  executor.for_rows(xbc.rows(), [&](int t) {
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
  executor.for_rows(xbc.rows(), [&](int t) {
    const Number* x = executor.data(xbc) + t * xbc.cols();
    Number* out = executor.data(y) + t * inner;
    for (int64_t head = 0; head < heads; ++head) {
      const auto share = static_cast<Number>(skip.floats()[head]);
      for (int64_t i = head * columns; i < (head + 1) * columns; ++i) out[i] += share * x[i];
    }
  });
  return y;
}

// With v = s x: dx = skip dy + s dv, ds = x dv, dskip = sum of dy x.
template <class AnyExecutor>
void record(AnyExecutor& executor, const LinearAttention& net, const Tensor& xbc, const Tensor& dt, const Weight& skip,
            const Tensor& y) {
  using Number = typename AnyExecutor::Number;
  on_tape(executor, {&xbc, &dt}, {&net.decay, &net.bias, &skip}, [&](auto& tape) {
    tape.record(y, [&executor, &tape, net, xbc = tape.keep(xbc), dt = tape.keep(dt), skip, y = tape.node(y),
                    sequences = rows_of_sequences(executor.step())] {
      const int64_t keys = net.keys, heads = net.heads, columns = net.columns, inner = heads * columns,
                    part = net.groups * keys;
      const std::vector<int> groups = groups_of_heads(net, group_of(net));
      const auto zeros = [&](int64_t cols) { return std::vector<Number>(static_cast<size_t>(y.rows * cols)); };
      std::vector<Number> v = zeros(inner), steps = zeros(heads), decay = zeros(heads);
      std::vector<Number> dq = zeros(heads * keys), dk = zeros(heads * keys), dv = zeros(inner), ddecay = zeros(heads),
                          dstep = zeros(heads), dskip = zeros(heads);
      const Number *x = tape.values(xbc), *in = tape.values(dt), *dy = tape.gradient(y);
      const auto at = [&](std::vector<Number>& of, int64_t t, int64_t n) -> Number& {
        return of[static_cast<size_t>(t * heads + n)];
      };
      executor.for_rows(y.rows, [&](int t) {
        for (int64_t n = 0; n < heads; ++n) {
          const double step =
              softplus(static_cast<double>(in[t * heads + n]) + static_cast<double>(net.bias.floats()[n]));
          at(steps, t, n) = static_cast<Number>(step);
          at(decay, t, n) = exp_of(static_cast<Number>(static_cast<double>(net.decay.floats()[n]) * step));
          for (int64_t i = n * columns; i < (n + 1) * columns; ++i)
            v[static_cast<size_t>(t * inner + i)] = static_cast<Number>(step) * x[t * xbc.cols + i];
        }
      });
      scan_heads_backward(
          executor, net, sequences,
          {.q = x + inner + part,
           .k = x + inner,
           .key_stride = xbc.cols,
           .v = v.data(),
           .value_stride = inner,
           .decay = decay.data(),
           .beta = nullptr,
           .gate_stride = heads,
           .o = nullptr},
          groups, {.o = dy, .q = dq.data(), .k = dk.data(), .v = dv.data(), .decay = ddecay.data(), .beta = nullptr});
      Number *dx = tape.gradient(xbc), *of_skip = tape.gradient(skip);
      executor.for_rows(y.rows, [&](int t) {
        const Number* from = x + t * xbc.cols;
        Number* to = dx + t * xbc.cols;
        for (int64_t n = 0; n < heads; ++n) {
          const auto share = static_cast<Number>(skip.floats()[n]);
          for (int64_t i = n * columns; i < (n + 1) * columns; ++i) {
            const Number by_v = dv[static_cast<size_t>(t * inner + i)], by_y = dy[t * inner + i];
            to[i] += share * by_y + at(steps, t, n) * by_v;
            at(dstep, t, n) += from[i] * by_v;
            at(dskip, t, n) += from[i] * by_y;
          }
        }
        std::vector<Number> sum(static_cast<size_t>(keys));
        for (const auto& [of, begin] : {std::pair(&dk, inner), std::pair(&dq, inner + part)}) {
          for (int group = 0; group < net.groups; ++group) {
            sum_group(net, groups, group, of->data() + t * heads * keys, sum.data());
            for (int64_t i = 0; i < keys; ++i) to[begin + group * keys + i] += sum[static_cast<size_t>(i)];
          }
        }
      });
      decay_backward(executor, tape, net, dt, decay.data(), heads, ddecay.data(), dstep.data());
      for (int64_t t = 0; of_skip != nullptr && t < y.rows; ++t)
        for (int64_t n = 0; n < heads; ++n) of_skip[n] += at(dskip, t, n);
    });
  });
}

}  // namespace

Tensor Ops::mamba2(const LinearAttention& net, const Tensor& xbc, const Tensor& dt, const Weight& skip) {
  const OpScope scope(executor_, "mamba2", {}, net.layer);
  return executor_.visit([&](auto& executor) {
    Tensor y = compute(executor, net, xbc, dt, skip);
    record(executor, net, xbc, dt, skip, y);
    return y;
  });
}

}  // namespace fieldprint
