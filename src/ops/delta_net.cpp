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

}  // namespace

Tensor Ops::delta_net(const LinearAttention& net, float eps, const Tensor& qkv, const Tensor& beta,
                      const Tensor& alpha) {
  const OpScope scope(executor_, "delta_net", {}, net.layer);
  return executor_.visit([&](auto& executor) { return compute(executor, net, eps, qkv, beta, alpha); });
}

}  // namespace fieldprint
