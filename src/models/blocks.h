// What layers of most architectures are made of, beside attention (models/attention.h). A block holds views of its
// weights and adds nothing to the stream itself: forward() gives what the layer adds.
#pragma once

#include "models/weights.h"
#include "ops/ops.h"

namespace fieldprint {

// rms(x; w) = w * x / sqrt(mean(x^2) + eps)
struct RmsNorm {
  Weight weight;
  float eps = 0;

  Tensor forward(Ops& ops, const Tensor& x) const { return ops.rms_norm(x, weight, eps); }
};

// layer_norm(x; w, b) = w * (x - mean(x)) / sqrt(variance(x) + eps) + b
struct LayerNorm {
  Weight weight, bias;
  float eps = 0;

  Tensor forward(Ops& ops, const Tensor& x) const { return ops.layer_norm(x, weight, bias, eps); }
};

// Wdown gelu(Wup h + bup) + bdown: a feed-forward part without a gate; biases where the file has them.
struct GeluFfn {
  Weight up, up_bias, down, down_bias;
  Gelu form = Gelu::kErf;

  GeluFfn() = default;
  GeluFfn(int layer, const Weights& weights, Gelu form);  // of the tensors ffn_up and ffn_down

  Tensor forward(Ops& ops, const Tensor& h) const;
};

// Wdown (silu(Wgate h) * Wup h), or another way of gating than silu
struct SwiGlu {
  Weight gate, up, down;
  Glu glu = Glu::kSilu;

  Tensor forward(Ops& ops, const Tensor& h) const;
};

// The feed-forward part of a layer: one SwiGLU, or several experts of which a router chooses some for each token.
class FeedForward {
 public:
  FeedForward() = default;
  // Throws Error kUnsupported for a way to choose experts that no executor has.
  FeedForward(const Hyperparameters& hp, int layer, const Weights& weights);

  Tensor forward(Ops& ops, const Tensor& h) const;

 private:
  bool has_experts_ = false;
  SwiGlu dense_;
  Moe experts_;
};

}  // namespace fieldprint
