// Layers of linear attention: all that a layer adds to the stream is made of a state of fixed size. A layer's state
// cannot be made again but from all tokens (kv/recurrent_state.h).
#pragma once

#include "models/blocks.h"
#include "models/weights.h"
#include "ops/ops.h"

namespace fieldprint {

// Gated delta net (Yang et al. 2024) as in Qwen 3.5:
//   q, k, v = silu(conv(Wqkv h));  o = delta_net(q, k, v; Wbeta h, Walpha h)
//   Wout (rms(o; ssm_norm) * silu(Wgate h)), the norm over each head
class DeltaNetLayer {
 public:
  DeltaNetLayer() = default;
  DeltaNetLayer(const Hyperparameters& hp, int layer, const Weights& weights);

  Tensor forward(Ops& ops, const Tensor& h) const;

 private:
  LinearAttention net_;
  Weight qkv_, gate_, kernel_, beta_, alpha_, out_;
  RmsNorm norm_;
};

// Mamba2 (Dao & Gu 2024) as in Granite 4: z, xbc, dt = split(Win h)
//   y = mamba2(silu(bias + conv(xbc)); dt, ssm_d);  Wout rms(silu(z) * y; ssm_norm), the norm over each group
class Mamba2Layer {
 public:
  Mamba2Layer() = default;
  Mamba2Layer(const Hyperparameters& hp, int layer, const Weights& weights);

  Tensor forward(Ops& ops, const Tensor& h) const;

 private:
  LinearAttention net_;
  Weight z_, xbc_, dt_, kernel_, bias_, skip_, out_;
  RmsNorm norm_;
};

}  // namespace fieldprint
