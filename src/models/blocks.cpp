#include "models/blocks.h"

#include <fmt/format.h>

#include "fieldprint/error.h"

namespace fieldprint {
namespace {

Moe::Gating gating_of(const Hyperparameters& hp) {
  switch (hp.gating) {
    case Gating::kSoftmax:
      return Moe::Gating::kSoftmax;
    case Gating::kSigmoid:
      return Moe::Gating::kSigmoid;
    case Gating::kSoftmaxChosen:
      return Moe::Gating::kSoftmaxChosen;
    default:
      throw Error(
          ErrorKind::kUnsupported,
          fmt::format("experts are scored by function {}, only 1 to 3 (softmax, sigmoid, softmax of the chosen) "
                      "are supported",
                      static_cast<int>(hp.gating)));
  }
}

}  // namespace

GeluFfn::GeluFfn(int layer, const Weights& weights, Gelu of)
    : up(weights("ffn_up.weight", layer)),
      up_bias(weights("ffn_up.bias", layer)),
      down(weights("ffn_down.weight", layer)),
      down_bias(weights("ffn_down.bias", layer)),
      form(of) {}

Tensor GeluFfn::forward(Ops& ops, const Tensor& h) const {
  Tensor inner = ops.linear(h, up);
  if (up_bias.given()) ops.add_bias(inner, up_bias);
  inner = form == Gelu::kTanh ? ops.gelu(inner) : ops.gelu_erf(inner);
  Tensor y = ops.linear(inner, down);
  if (down_bias.given()) ops.add_bias(y, down_bias);
  return y;
}

Tensor SwiGlu::forward(Ops& ops, const Tensor& h) const {
  const Weight* weights[] = {&gate, &up};
  Tensor gate_up[2];
  ops.linear(h, weights, gate_up);
  return ops.linear(gated(ops, glu, gate_up[0], gate_up[1]), down);
}

FeedForward::FeedForward(const Hyperparameters& hp, int layer, const Weights& weights)
    : has_experts_(hp.plan[static_cast<size_t>(layer)].experts) {
  if (!has_experts_) {
    dense_ = {weights("ffn_gate.weight", layer), weights("ffn_up.weight", layer), weights("ffn_down.weight", layer),
              hp.glu};
    if (!dense_.gate.given()) {  // the rows of gate stand before those of up (Phi 3)
      const int64_t width = hp.plan[static_cast<size_t>(layer)].ffn;
      dense_.gate = dense_.up.some_rows(0, width);
      dense_.up = dense_.up.some_rows(width, width);
    }
    return;
  }
  experts_.router = weights("ffn_gate_inp.weight", layer);
  experts_.bias = weights("exp_probs_b.bias", layer);
  experts_.gate = weights(hp.fused_gate_up ? "ffn_gate_up_exps.weight" : "ffn_gate_exps.weight", layer);
  if (!hp.fused_gate_up) experts_.up = weights("ffn_up_exps.weight", layer);
  experts_.down = weights("ffn_down_exps.weight", layer);
  experts_.shared_gate = weights("ffn_gate_shexp.weight", layer);
  experts_.shared_up = weights("ffn_up_shexp.weight", layer);
  experts_.shared_down = weights("ffn_down_shexp.weight", layer);
  experts_.shared_router = weights("ffn_gate_inp_shexp.weight", layer);
  experts_.experts = hp.experts;
  experts_.active = hp.experts_used;
  experts_.gating = gating_of(hp);
  experts_.router_bias = weights("ffn_gate_inp.bias", layer);
  experts_.gate_bias = weights("ffn_gate_exps.bias", layer);
  experts_.up_bias = weights("ffn_up_exps.bias", layer);
  experts_.down_bias = weights("ffn_down_exps.bias", layer);
  experts_.glu = hp.glu;
}

Tensor FeedForward::forward(Ops& ops, const Tensor& h) const {
  return has_experts_ ? ops.moe(h, experts_) : dense_.forward(ops, h);
}

}  // namespace fieldprint
