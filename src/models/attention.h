// The attention of one layer, for every architecture: projections, norms, RoPE, and the kind that the file asks for
// (docs/formats/attention.md).
#pragma once

#include "models/blocks.h"
#include "models/weights.h"
#include "ops/ops.h"

namespace fieldprint {

class AttentionLayer {
 public:
  AttentionLayer() = default;
  // By what the plan has: biases are added, heads are RMS-normed after the projection (attn_q_norm and its like), one
  // tensor attn_qkv holds the rows of three matrices.
  AttentionLayer(const Hyperparameters& hp, int layer, const Weights& weights);

  // What h [T, width], the normed stream, adds to the stream.
  Tensor forward(Ops& ops, const Tensor& h, const Rope& rope) const;  // a layer without RoPE ignores `rope`

 private:
  Weight q_, k_, v_, o_, r_;
  Weight q_bias_, k_bias_, v_bias_, o_bias_, r_bias_;  // not given: none
  RmsNorm q_norm_, k_norm_, r_norm_;                   // without a weight: none
  bool gated_ = false;
  bool rotates_ = true;
  AttendShape shape_;
};

}  // namespace fieldprint
