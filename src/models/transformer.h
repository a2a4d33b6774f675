// The forward pass that most architectures have, of blocks that differ in what the plan gives them:
//   x = embedding_scale * embedding[token]
//   x += residual_scale * mixer(rms(x; attn_norm)), which is attention or linear attention
//   x += residual_scale * ffn(rms(x; ffn_norm)), a norm that some files name post_attention_norm
//   logits = Wout rms(x; output_norm) / logit_scale, Wout being the embedding where the file has no output matrix
// An architecture that is such a stack brings a row of its tensors and settings, and no code of its own.
#pragma once

#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "models/architecture.h"
#include "models/attention.h"
#include "models/blocks.h"
#include "models/linear_attention.h"

namespace fieldprint {

class Transformer : public Architecture {
 public:
  Transformer(Hyperparameters model, Weights tensors, RopePairs pairs);

  Tensor forward(Ops& ops) const override;

 private:
  using AnyMixer = std::variant<AttentionLayer, DeltaNetLayer, Mamba2Layer>;
  static AnyMixer make_mixer(const Hyperparameters& hp, int layer, const Weights& weights);

  struct Block {
    RmsNorm attn_norm;
    AnyMixer mixer;
    RmsNorm attn_post_norm;  // of what the mixer adds; without a weight: none
    RmsNorm ffn_norm;
    FeedForward ffn;
    RmsNorm ffn_post_norm;
    const Rope* rope;
  };

  Rope rope_, local_rope_;
  Weight embedding_, output_;
  RmsNorm output_norm_;
  std::vector<Block> blocks_;
};

// What an ArchitectureRow of such a stack takes where it has nothing of its own. Every layer attends.
Hyperparameters read_transformer(const Metadata& metadata);
void write_transformer(const MetadataWriter& out, const Hyperparameters& hp);

template <RopePairs pairs>
std::unique_ptr<Architecture> make_transformer(Hyperparameters hp, Weights weights) {
  return std::make_unique<Transformer>(std::move(hp), std::move(weights), pairs);
}

}  // namespace fieldprint
