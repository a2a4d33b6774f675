#include "models/linear_attention.h"

namespace fieldprint {
namespace {

LinearAttention net_of(const Hyperparameters& hp, int layer, const Weights& weights) {
  return {.layer = layer,
          .groups = hp.linear_groups,
          .heads = hp.linear_heads,
          .keys = hp.linear_keys,
          .columns = hp.linear_columns,
          .state_begin = (hp.conv_taps - 1) * conv_channels(hp),
          .decay = weights("ssm_a", layer),
          .bias = weights("ssm_dt.bias", layer)};
}

}  // namespace

DeltaNetLayer::DeltaNetLayer(const Hyperparameters& hp, int layer, const Weights& weights)
    : net_(net_of(hp, layer, weights)),
      qkv_(weights("attn_qkv.weight", layer)),
      gate_(weights("attn_gate.weight", layer)),
      kernel_(weights("ssm_conv1d.weight", layer)),
      beta_(weights("ssm_beta.weight", layer)),
      alpha_(weights("ssm_alpha.weight", layer)),
      out_(weights("ssm_out.weight", layer)),
      norm_{weights("ssm_norm.weight", layer), hp.eps} {}

Tensor DeltaNetLayer::forward(Ops& ops, const Tensor& h) const {
  const Weight* weights[] = {&qkv_, &gate_, &beta_, &alpha_};
  Tensor x[4];
  ops.linear(h, weights, x);
  x[0] = ops.conv_silu(net_.layer, x[0], kernel_, {});
  const Tensor o = ops.delta_net(net_, norm_.eps, x[0], x[2], x[3]);
  return ops.linear(ops.silu_mul(x[1], norm_.forward(ops, o)), out_);
}

Mamba2Layer::Mamba2Layer(const Hyperparameters& hp, int layer, const Weights& weights)
    : net_(net_of(hp, layer, weights)),
      kernel_(weights("ssm_conv1d.weight", layer)),
      bias_(weights("ssm_conv1d.bias", layer)),
      skip_(weights("ssm_d", layer)),
      out_(weights("ssm_out.weight", layer)),
      norm_{weights("ssm_norm.weight", layer), hp.eps} {
  const Weight& in = weights("ssm_in.weight", layer);
  const int64_t inner = int64_t{hp.linear_heads} * hp.linear_columns, channels = conv_channels(hp);
  z_ = in.some_rows(0, inner);
  xbc_ = in.some_rows(inner, channels);
  dt_ = in.some_rows(inner + channels, hp.linear_heads);
}

Tensor Mamba2Layer::forward(Ops& ops, const Tensor& h) const {
  const Weight* weights[] = {&z_, &xbc_, &dt_};
  Tensor x[3];
  ops.linear(h, weights, x);
  x[1] = ops.conv_silu(net_.layer, x[1], kernel_, bias_);
  const Tensor y = ops.silu_mul(x[0], ops.mamba2(net_, x[1], x[2], skip_));
  return ops.linear(norm_.forward(ops, y), out_);
}

}  // namespace fieldprint
