// The gated delta net (Yang et al. 2024), as ops.h has it.
#include <cmath>
#include <vector>

#include "ops/linear_attention.h"

namespace fieldprint {
namespace {

auto group_of(const LinearAttention& net) {
  return [groups = net.groups](int head) { return head % groups; };
}

Tensor compute(RunExecutor& run, const LinearAttention& net, float eps, const Tensor& qkv, const Tensor& beta,
               const Tensor& alpha) {
  const int keys = net.keys, heads = net.heads;
  const int64_t part = int64_t{net.groups} * keys;
  Tensor y = run.make(qkv.rows(), int64_t{heads} * net.columns), qk = run.make(qkv.rows(), 2 * part),
         gates = run.make(qkv.rows(), 2 * int64_t{heads});
  // x / sqrt(sum of squares + eps) is the RMS norm with weights 1 / sqrt(keys) and eps / keys.
  Tensor scales = run.make(2, keys);
  const float n = static_cast<float>(keys), root = 1 / std::sqrt(n);
  std::fill(run.data(scales), run.data(scales) + keys, root * root);      // of queries
  std::fill(run.data(scales) + keys, run.data(scales) + 2 * keys, root);  // of keys
  run.for_rows(qkv.rows(), [&](int t) {
    const float *in = run.data(qkv) + t * qkv.cols(), *b = run.data(beta) + t * heads, *a = run.data(alpha) + t * heads;
    float *out = run.data(qk) + t * 2 * part, *gate = run.data(gates) + t * 2 * heads;
    for (int64_t i = 0; i < 2 * part; i += keys)
      run.kernels().rms_norm(in + i, run.data(scales) + (i < part ? 0 : keys), keys, eps / n, out + i);
    for (int head = 0; head < heads; ++head) {
      const double step = softplus(static_cast<double>(a[head]) + static_cast<double>(net.bias.floats()[head]));
      gate[head] = exp_f32(static_cast<float>(static_cast<double>(net.decay.floats()[head]) * step));
      gate[heads + head] = 1 / (1 + exp_f32(-b[head]));
    }
  });
  scan_heads(run, net,
             {.q = run.data(qk),
              .k = run.data(qk) + part,
              .key_stride = 2 * part,
              .v = run.data(qkv) + 2 * part,
              .value_stride = qkv.cols(),
              .decay = run.data(gates),
              .beta = run.data(gates) + heads,
              .gate_stride = 2 * int64_t{heads},
              .o = run.data(y)},
             group_of(net));
  return y;
}

Tensor compute(ReferenceExecutor& reference, const LinearAttention& net, float eps, const Tensor& qkv,
               const Tensor& beta, const Tensor& alpha) {
  const int64_t keys = net.keys, heads = net.heads, part = net.groups * keys;
  Tensor y = reference.make(qkv.rows(), heads * net.columns);
  std::vector<double> qk, gates;
  for (int64_t t = 0; t < qkv.rows(); ++t) {
    const double* in = reference.data(qkv) + t * qkv.cols();
    for (int64_t first = 0; first < 2 * part; first += keys) {
      double sum = static_cast<double>(eps);
      for (int64_t i = first; i < first + keys; ++i) sum += in[i] * in[i];
      const double scale = 1 / std::sqrt(first < part ? sum * static_cast<double>(keys) : sum);
      for (int64_t i = first; i < first + keys; ++i) qk.push_back(in[i] * scale);
    }
    for (int64_t head = 0; head < heads; ++head) {
      const double step = reference.data(alpha)[t * heads + head] + static_cast<double>(net.bias.floats()[head]);
      gates.push_back(std::exp(static_cast<double>(net.decay.floats()[head]) * softplus(step)));
    }
    for (int64_t head = 0; head < heads; ++head)
      gates.push_back(1 / (1 + std::exp(-reference.data(beta)[t * heads + head])));
  }
  scan_heads(reference, net,
             {.q = qk.data(),
              .k = qk.data() + part,
              .key_stride = 2 * part,
              .v = reference.data(qkv) + 2 * part,
              .value_stride = qkv.cols(),
              .decay = gates.data(),
              .beta = gates.data() + heads,
              .gate_stride = 2 * heads,
              .o = reference.data(y)},
             group_of(net));
  return y;
}

// With g the gradient of x / sqrt(sum of squares + eps) * factor, and r that root: dx = (g - x (x g) / r^2) factor / r.
template <class AnyExecutor>
void record(AnyExecutor& executor, const LinearAttention& net, float eps, const Tensor& qkv, const Tensor& beta,
            const Tensor& alpha, const Tensor& y) {
  using Number = typename AnyExecutor::Number;
  on_tape(executor, {&qkv, &beta, &alpha}, {&net.decay, &net.bias}, [&](auto& tape) {
    tape.record(y, [&executor, &tape, net, eps, qkv = tape.keep(qkv), beta = tape.keep(beta), alpha = tape.keep(alpha),
                    y = tape.node(y), sequences = rows_of_sequences(executor.step())] {
      const int64_t keys = net.keys, heads = net.heads, part = net.groups * keys, inner = heads * net.columns;
      const std::vector<int> groups = groups_of_heads(net, group_of(net));
      const auto zeros = [&](int64_t cols) { return std::vector<Number>(static_cast<size_t>(y.rows * cols)); };
      std::vector<Number> qk = zeros(2 * part), scales = zeros(2 * int64_t{net.groups}), gates = zeros(2 * heads);
      std::vector<Number> dq = zeros(heads * keys), dk = zeros(heads * keys), dv = zeros(inner), ddecay = zeros(heads),
                          dbeta = zeros(heads), dstep = zeros(heads);
      const Number *in = tape.values(qkv), *b = tape.values(beta), *a = tape.values(alpha);
      const auto root = static_cast<Number>(1 / std::sqrt(static_cast<double>(keys)));  // factor of queries
      executor.for_rows(y.rows, [&](int t) {
        for (int64_t first = 0; first < 2 * part; first += keys) {
          const Number* x = in + t * qkv.cols + first;
          double sum = static_cast<double>(eps);
          for (int64_t i = 0; i < keys; ++i) sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
          const auto scale = static_cast<Number>(1 / std::sqrt(sum));
          scales[static_cast<size_t>((t * 2 * part + first) / keys)] = scale;
          Number* out = qk.data() + t * 2 * part + first;
          for (int64_t i = 0; i < keys; ++i) out[i] = x[i] * scale * (first < part ? root : 1);
        }
        Number* gate = gates.data() + t * 2 * heads;
        for (int64_t n = 0; n < heads; ++n) {
          const double step =
              softplus(static_cast<double>(a[t * heads + n]) + static_cast<double>(net.bias.floats()[n]));
          gate[n] = exp_of(static_cast<Number>(static_cast<double>(net.decay.floats()[n]) * step));
          gate[heads + n] = 1 / (1 + exp_of(-b[t * heads + n]));
        }
      });
      scan_heads_backward(executor, net, sequences,
                          {.q = qk.data(),
                           .k = qk.data() + part,
                           .key_stride = 2 * part,
                           .v = in + 2 * part,
                           .value_stride = qkv.cols,
                           .decay = gates.data(),
                           .beta = gates.data() + heads,
                           .gate_stride = 2 * heads,
                           .o = nullptr},
                          groups,
                          {.o = tape.gradient(y),
                           .q = dq.data(),
                           .k = dk.data(),
                           .v = dv.data(),
                           .decay = ddecay.data(),
                           .beta = dbeta.data()});
      Number *din = tape.gradient(qkv), *db = tape.gradient(beta);
      executor.for_rows(y.rows, [&](int t) {
        std::vector<Number> g(static_cast<size_t>(keys));
        for (int64_t first = 0; first < 2 * part; first += keys) {
          const bool query = first < part;
          sum_group(net, groups, static_cast<int>(first % part / keys), (query ? dq : dk).data() + t * heads * keys,
                    g.data());
          const Number *x = in + t * qkv.cols + first,
                       scale = scales[static_cast<size_t>((t * 2 * part + first) / keys)];
          Number* dx = din + t * qkv.cols + first;
          double along = 0;
          for (int64_t i = 0; i < keys; ++i)
            along += static_cast<double>(x[i]) * static_cast<double>(g[static_cast<size_t>(i)]);
          const Number back = static_cast<Number>(along) * scale * scale;
          for (int64_t i = 0; i < keys; ++i)
            dx[i] += (g[static_cast<size_t>(i)] - x[i] * back) * scale * (query ? root : 1);
        }
        for (int64_t i = 0; i < inner; ++i) din[t * qkv.cols + 2 * part + i] += dv[static_cast<size_t>(t * inner + i)];
        for (int64_t n = 0; n < heads; ++n) {
          const Number gate = gates[static_cast<size_t>((2 * t + 1) * heads + n)];
          db[t * heads + n] += dbeta[static_cast<size_t>(t * heads + n)] * gate * (1 - gate);
        }
      });
      decay_backward(executor, tape, net, alpha, gates.data(), 2 * heads, ddecay.data(), dstep.data());
    });
  });
}

}  // namespace

Tensor Ops::delta_net(const LinearAttention& net, float eps, const Tensor& qkv, const Tensor& beta,
                      const Tensor& alpha) {
  const OpScope scope(executor_, "delta_net", {}, net.layer);
  return executor_.visit([&](auto& executor) {
    Tensor y = compute(executor, net, eps, qkv, beta, alpha);
    record(executor, net, eps, qkv, beta, alpha, y);
    return y;
  });
}

}  // namespace fieldprint
