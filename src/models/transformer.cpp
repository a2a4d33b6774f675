#include "models/transformer.h"

#include <fmt/format.h>

#include "models/rope.h"

namespace fieldprint {

Transformer::Transformer(Hyperparameters model, Weights tensors, RopePairs pairs)
    : Architecture(std::move(model), std::move(tensors)) {
  const Hyperparameters& hp = hyperparameters();
  const Weights& w = weights();
  rope_ = make_rope(hp.rope, hp.context, pairs);
  embedding_ = w("token_embd.weight");
  output_norm_ = {w("output_norm.weight"), hp.eps};
  output_ = hp.tied ? embedding_ : w("output.weight");
  if (hp.local_rope) local_rope_ = make_rope(*hp.local_rope, hp.context, pairs);
  for (int i = 0; i < hp.layers; ++i) {
    const bool local = hp.local_rope.has_value() && hp.plan[static_cast<size_t>(i)].window > 0;
    // Where there is no ffn_norm, what is called post_attention_norm is the norm before the feed-forward part.
    const Weight &before_ffn = w("ffn_norm.weight", i), &after_attention = w("post_attention_norm.weight", i);
    const bool post = before_ffn.given();
    blocks_.push_back({{w("attn_norm.weight", i), hp.eps},
                       make_mixer(hp, i, w),
                       {post ? after_attention : Weight(), hp.eps},
                       {post ? before_ffn : after_attention, hp.eps},
                       FeedForward(hp, i, w),
                       {w("post_ffw_norm.weight", i), hp.eps},
                       local ? &local_rope_ : &rope_});
  }
}

Transformer::AnyMixer Transformer::make_mixer(const Hyperparameters& hp, int layer, const Weights& weights) {
  switch (hp.plan[static_cast<size_t>(layer)].mixer) {
    case Mixer::kDeltaNet:
      return DeltaNetLayer(hp, layer, weights);
    case Mixer::kMamba2:
      return Mamba2Layer(hp, layer, weights);
    default:
      return AttentionLayer(hp, layer, weights);
  }
}

Tensor Transformer::forward(Ops& ops) const {
  const Hyperparameters& hp = hyperparameters();
  Tensor x = ops.embed(embedding_);
  if (hp.embedding_scale != 1) ops.scale(x, hp.embedding_scale);
  const auto add = [&](Tensor y, const RmsNorm& norm) {
    if (norm.weight.given()) y = norm.forward(ops, y);
    ops.add(x, y, hp.residual_scale);
  };
  for (const Block& b : blocks_) {
    {
      const Tensor h = b.attn_norm.forward(ops, x);
      add(std::visit(
              [&](const auto& mixer) {
                if constexpr (requires { mixer.forward(ops, h, *b.rope); }) return mixer.forward(ops, h, *b.rope);
                else return mixer.forward(ops, h);
              },
              b.mixer),
          b.attn_post_norm);
    }
    if (&b == &blocks_.back()) x = ops.output_rows(std::move(x));  // the rest is done only for rows that want logits
    add(b.ffn.forward(ops, b.ffn_norm.forward(ops, x)), b.ffn_post_norm);
  }
  Tensor logits = ops.output_head(output_norm_.forward(ops, x), output_);
  if (hp.logit_scale != 1) ops.scale(logits, 1 / hp.logit_scale);
  if (hp.logit_softcap != 0) ops.softcap(logits, hp.logit_softcap);
  return logits;
}

Hyperparameters read_transformer(const Metadata& metadata) {
  Hyperparameters hp = read_common(metadata);
  for (size_t i = 0; i < hp.plan.size(); ++i) {
    if (hp.plan[i].kv_heads == 0) metadata.unsupported(fmt::format("layer {} has no K/V heads", i));
  }
  if (hp.experts > 0 && hp.gating == Gating::kNone) hp.gating = Gating::kSoftmax;
  return hp;
}

void write_transformer(const MetadataWriter& out, const Hyperparameters& hp) {
  write_sizes(out, hp);
  out.set("rope.dimension_count", hp.rope.dims);
  write_settings(out, hp);
}

}  // namespace fieldprint
