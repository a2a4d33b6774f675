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
  // Heads are RMS-normed after the projection where the plan has attn_q_norm and its like.
  AttentionLayer(const Hyperparameters& hp, int layer, const Weights& weights);

  // What h [T, width], the normed stream, adds to the stream.
  Tensor forward(Ops& ops, const Tensor& h, const Rope& rope) const;

 private:
  Weight q_, k_, v_, o_, r_;
  RmsNorm q_norm_, k_norm_, r_norm_;  // without a weight's type: none
  AttendShape shape_;
};

}  // namespace fieldprint
