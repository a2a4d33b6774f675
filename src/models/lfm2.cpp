// LFM2 (Liquid AI 2025), dense (`lfm2`) and mixture of experts (`lfm2moe`): layers of short convolution with some
// layers of grouped-query attention among them. The file decides: a layer with 0 K/V heads is a convolution, layers
// from leading_dense_block_count on have experts.
//   x += op(rms(x; attn_norm));  x += ffn(rms(x; ffn_norm));  logits = Wout rms(x; token_embd_norm)
//   attention: q and k are RMS-normed per head, then RoPE on half-split pairs
//   convolution: B, C, z = split(Win h); Wout (C * conv(B * z))
#include <fmt/format.h>

#include <algorithm>

#include "models/architecture.h"
#include "models/attention.h"
#include "models/blocks.h"
#include "models/rope.h"

namespace fieldprint {
namespace {

constexpr Length kThreeWidths = [](const Hyperparameters& hp, const LayerPlan&) { return 3 * int64_t{hp.width}; };

constexpr TensorRow kModelTensors[] = {
    {"token_embd.weight", "model.embed_tokens.weight", kAlways, {kVocabulary, kWidth}, There::kSame, Draw::kUnit},
    {"token_embd_norm.weight", "model.embedding_norm.weight", kAlways, {kWidth}, There::kSame, Draw::kOutputNorm},
    {"output.weight", "lm_head.weight", kUntied, {kVocabulary, kWidth}},
    {"rope_freqs.weight", "", kRopeDivisors, {kRopePairs}, There::kNowhere, Draw::kUnit, kDivisors},
};

constexpr TensorRow kLayerTensors[] = {
    {"attn_norm.weight", "operator_norm.weight", kAlways, {kWidth}, There::kSame, Draw::kNorm},
    {"attn_q.weight", "self_attn.q_proj.weight", kAttends, {kQueries, kWidth}},
    {"attn_k.weight", "self_attn.k_proj.weight", kAttends, {kKeys, kWidth}},
    {"attn_v.weight", "self_attn.v_proj.weight", kAttends, {kKeys, kWidth}},
    {"attn_output.weight", "self_attn.out_proj.weight", kAttends, {kWidth, kQueries}, There::kSame, Draw::kResidual},
    {"attn_q_norm.weight", "self_attn.q_layernorm.weight", kAttends, {kHeadDim}, There::kSame, Draw::kNorm},
    {"attn_k_norm.weight", "self_attn.k_layernorm.weight", kAttends, {kHeadDim}, There::kSame, Draw::kNorm},
    {"attn_r.weight", "", kThirdProjection, {kThirdRows, kWidth}},
    {"attn_r_norm.weight", "", kThirdProjection, {kHeadDim}, There::kSame, Draw::kNorm},
    {"attn_anchor_k.weight", "", kAnchored, {kAnchors, kKeys}, There::kSame, Draw::kAnchorKeys},
    {"attn_anchor_v.weight", "", kAnchored, {kAnchors, kKeys}, There::kSame, Draw::kUnit},
    {"shortconv.in_proj.weight", "conv.in_proj.weight", kConvolves, {kThreeWidths, kWidth}},
    {"shortconv.conv.weight", "conv.conv.weight", kConvolves, {kWidth, kTaps}, There::kKernel},
    {"shortconv.out_proj.weight", "conv.out_proj.weight", kConvolves, {kWidth, kWidth}, There::kSame, Draw::kResidual},
    {"ffn_norm.weight", "ffn_norm.weight", kAlways, {kWidth}, There::kSame, Draw::kNorm},
    {"ffn_gate.weight", "feed_forward.w1.weight", kDense, {kFfn, kWidth}},
    {"ffn_up.weight", "feed_forward.w3.weight", kDense, {kFfn, kWidth}},
    {"ffn_down.weight", "feed_forward.w2.weight", kDense, {kWidth, kFfn}, There::kSame, Draw::kDown},
    {"ffn_gate_inp.weight", "feed_forward.gate.weight", kMixture, {kExperts, kWidth}},
    {"exp_probs_b.bias", "feed_forward.expert_bias", kMixture, {kExperts}, There::kSame, Draw::kBias},
    {"ffn_gate_exps.weight",
     "feed_forward.experts.<>.w1.weight",
     kMixture,
     {kExperts, kExpertFfn, kWidth},
     There::kStacked},
    {"ffn_up_exps.weight",
     "feed_forward.experts.<>.w3.weight",
     kMixture,
     {kExperts, kExpertFfn, kWidth},
     There::kStacked},
    {"ffn_down_exps.weight",
     "feed_forward.experts.<>.w2.weight",
     kMixture,
     {kExperts, kWidth, kExpertFfn},
     There::kStacked,
     Draw::kDown},
};

struct ShortConv {
  int layer = 0;
  Weight in_proj, kernel, out_proj;

  Tensor forward(Ops& ops, const Tensor& h) const {
    return ops.linear(ops.shortconv(layer, ops.linear(h, in_proj), kernel), out_proj);
  }
};

struct Block {
  Mixer mixer;
  RmsNorm attn_norm;
  AttentionLayer attention;
  ShortConv convolution;
  RmsNorm ffn_norm;
  FeedForward ffn;
};

class Lfm2 final : public Architecture {
 public:
  Lfm2(Hyperparameters model, Weights tensors) : Architecture(std::move(model), std::move(tensors)) {
    const Hyperparameters& hp = hyperparameters();
    const Weights& w = weights();
    rope_ = make_rope(hp.rope, hp.context, RopePairs::kHalves);
    embedding_ = w("token_embd.weight");
    output_norm_ = {w("token_embd_norm.weight"), hp.eps};
    output_ = hp.tied ? embedding_ : w("output.weight");
    for (int i = 0; i < hp.layers; ++i) {
      Block& b = blocks_.emplace_back();
      b.mixer = hp.plan[static_cast<size_t>(i)].mixer;
      b.attn_norm = {w("attn_norm.weight", i), hp.eps};
      if (b.mixer == Mixer::kAttention) {
        b.attention = AttentionLayer(hp, i, w);
      } else {
        b.convolution = {i, w("shortconv.in_proj.weight", i), w("shortconv.conv.weight", i),
                         w("shortconv.out_proj.weight", i)};
      }
      b.ffn_norm = {w("ffn_norm.weight", i), hp.eps};
      b.ffn = FeedForward(hp, i, w);
    }
  }

  Tensor forward(Ops& ops) const override {
    Tensor x = ops.embed(embedding_);
    for (const Block& b : blocks_) {
      {
        const Tensor h = b.attn_norm.forward(ops, x);
        ops.add(x, b.mixer == Mixer::kAttention ? b.attention.forward(ops, h, rope_) : b.convolution.forward(ops, h));
      }
      if (&b == &blocks_.back()) x = ops.output_rows(std::move(x));  // the rest is done only for rows that want logits
      ops.add(x, b.ffn.forward(ops, b.ffn_norm.forward(ops, x)));
    }
    return ops.output_head(output_norm_.forward(ops, x), output_);
  }

 private:
  Rope rope_;
  Weight embedding_, output_;
  RmsNorm output_norm_;
  std::vector<Block> blocks_;
};

Hyperparameters read(const Metadata& metadata) {
  Hyperparameters hp = read_common(metadata);
  const int window = std::min(metadata.integer("attention.sliding_window", 0, INT32_MAX, 0), hp.context);
  for (LayerPlan& layer : hp.plan) {
    layer.window = window;
    if (layer.kv_heads == 0) layer.mixer = Mixer::kShortConv;
  }
  hp.conv_taps = metadata.integer("shortconv.l_cache", 1, 64);
  if (hp.gating == Gating::kNone) hp.gating = Gating::kSigmoid;
  return hp;
}

void write(const MetadataWriter& out, const Hyperparameters& hp) {
  write_sizes(out, hp);
  out.set("shortconv.l_cache", hp.conv_taps);
  write_settings(out, hp);
}

// Which layers attend: named one by one, or by their numbers; all where nothing is said.
void read_layer_types(const Config& config, Hyperparameters& hp) {
  std::vector<bool> attends(hp.plan.size(), true);
  if (config.has("layer_types")) {
    const auto types = config.strings("layer_types");
    if (types.size() != attends.size()) config.refuse("layer_types should name every layer's type");
    for (size_t i = 0; i < types.size(); ++i) {
      attends[i] = types[i] == "full_attention";
      if (!attends[i] && types[i] != "conv") {
        config.unsupported(fmt::format("layer {} is of type '{}'; full_attention and conv are supported", i, types[i]));
      }
    }
  } else if (config.has("full_attn_idxs")) {
    attends.assign(attends.size(), false);
    for (const int64_t index : config.integers("full_attn_idxs")) {
      if (index < 0 || index >= hp.layers) config.refuse("full_attn_idxs should name layers");
      attends[static_cast<size_t>(index)] = true;
    }
  }
  for (size_t i = 0; i < attends.size(); ++i) {
    if (attends[i]) continue;
    hp.plan[i].mixer = Mixer::kShortConv;
    hp.plan[i].kv_heads = 0;
    hp.plan[i].attention = nullptr;
  }
}

Hyperparameters read_lfm2_common(const Config& config) {
  Hyperparameters hp = read_common(
      config, {.eps_key = "norm_eps", .eps = 1e-5, .rope_base = 1e6, .context = 128000, .kv_heads = 8, .tied = true});
  hp.tied = config.boolean("tie_embedding", hp.tied);  // which came first, and counts
  hp.conv_taps = static_cast<int>(config.integer("conv_L_cache", 1, 64, 3));
  read_layer_types(config, hp);
  return hp;
}

Hyperparameters read_lfm2_config(const Config& config) {
  Hyperparameters hp = read_lfm2_common(config);
  int64_t ffn = config.integer("block_ff_dim", 1, 1 << 22, hp.plan[0].ffn);
  if (config.boolean("block_auto_adjust_ff_dim", true)) {  // the width that is meant follows from the one that is said
    const int64_t multiple = config.integer("block_multiple_of", 1, 1 << 20, 256);
    ffn = static_cast<int64_t>(config.number("block_ffn_dim_multiplier", 1) * static_cast<double>(2 * ffn / 3));
    ffn = (ffn + multiple - 1) / multiple * multiple;
  }
  for (LayerPlan& layer : hp.plan) layer.ffn = static_cast<int>(ffn);
  return hp;
}

Hyperparameters read_lfm2_moe_config(const Config& config) {
  Hyperparameters hp = read_lfm2_common(config);
  if (!config.boolean("norm_topk_prob", true))
    config.unsupported("experts whose weights are not normalised are not supported");
  if (!config.boolean("use_expert_bias", true)) config.unsupported("experts without a bias are not supported");
  if (config.number("routed_scaling_factor", 1.0) != 1.0)
    config.unsupported("a routed_scaling_factor other than 1 is not supported");
  hp.experts = static_cast<int>(config.integer("num_experts", 1, 1 << 12, 32));
  hp.experts_used = static_cast<int>(config.integer("num_experts_per_tok", 1, hp.experts, 4));
  hp.expert_ffn = static_cast<int>(config.integer("moe_intermediate_size", 1, 1 << 22, 1792));
  hp.dense_layers = std::min(static_cast<int>(config.integer("num_dense_layers", 0, 1000, 2)), hp.layers);
  hp.gating = Gating::kSigmoid;
  for (int i = hp.dense_layers; i < hp.layers; ++i) hp.plan[static_cast<size_t>(i)].experts = true;
  return hp;
}

constexpr HuggingFaceType kDenseTypes[] = {{"lfm2", read_lfm2_config}};
constexpr HuggingFaceType kMoeTypes[] = {{"lfm2_moe", read_lfm2_moe_config}};

constexpr Preset kDensePresets[] = {
    {"lfm2-1.2b", "LFM2-1.2B", "lfm2", R"({
       "model_type": "lfm2", "num_hidden_layers": 16, "hidden_size": 2048, "intermediate_size": 12288,
       "num_attention_heads": 32, "num_key_value_heads": 8, "full_attn_idxs": [2, 5, 8, 10, 12, 14],
       "vocab_size": 65536})"},
    {"lfm2-350m", "LFM2-350M", "lfm2", R"({
       "model_type": "lfm2", "num_hidden_layers": 16, "hidden_size": 1024, "intermediate_size": 6656,
       "num_attention_heads": 16, "num_key_value_heads": 8, "full_attn_idxs": [2, 5, 8, 10, 12, 14],
       "vocab_size": 65536})"},
    // An LFM2 without any convolution is refused by llama.cpp, so there is one in front.
    {"attn-lfm2", "the 6 attention layers of LFM2-8B-A1B, next to nothing around them", "lfm2", R"({
       "model_type": "lfm2", "num_hidden_layers": 7, "hidden_size": 2048, "intermediate_size": 256,
       "block_auto_adjust_ff_dim": false, "num_attention_heads": 32, "num_key_value_heads": 8,
       "full_attn_idxs": [1, 2, 3, 4, 5, 6], "vocab_size": 1024})"},
    {"tiny-lfm2", "an LFM2 for tests", "lfm2", R"({
       "model_type": "lfm2", "num_hidden_layers": 4, "hidden_size": 256, "intermediate_size": 512,
       "block_auto_adjust_ff_dim": false, "num_attention_heads": 8, "num_key_value_heads": 2, "full_attn_idxs": [1, 3],
       "vocab_size": 320, "max_position_embeddings": 4096})"},
};

constexpr Preset kMoePresets[] = {
    {"lfm2-8b-a1b", "LFM2-8B-A1B: 8.3 B weights, 1.6 B of them active", "lfm2", R"({
       "model_type": "lfm2_moe", "num_hidden_layers": 24, "hidden_size": 2048, "intermediate_size": 7168,
       "num_attention_heads": 32, "num_key_value_heads": 8, "full_attn_idxs": [2, 6, 10, 14, 18, 21],
       "num_dense_layers": 2, "num_experts": 32, "num_experts_per_tok": 4, "moe_intermediate_size": 1792,
       "vocab_size": 65536})"},
    {"tiny-lfm2moe", "an LFM2 with experts for tests", "lfm2", R"({
       "model_type": "lfm2_moe", "num_hidden_layers": 4, "hidden_size": 256, "intermediate_size": 512,
       "num_attention_heads": 8, "num_key_value_heads": 2, "full_attn_idxs": [1, 3],
       "num_dense_layers": 1, "num_experts": 6, "num_experts_per_tok": 2, "moe_intermediate_size": 256,
       "vocab_size": 320, "max_position_embeddings": 4096})"},
    {"tiny-lfm2-8b-a1b", "LFM2-8B-A1B's layers and experts, narrow", "lfm2", R"({
       "model_type": "lfm2_moe", "num_hidden_layers": 24, "hidden_size": 256, "intermediate_size": 512,
       "num_attention_heads": 4, "num_key_value_heads": 1, "full_attn_idxs": [2, 6, 10, 14, 18, 21],
       "num_dense_layers": 2, "num_experts": 32, "num_experts_per_tok": 4, "moe_intermediate_size": 64,
       "vocab_size": 320, "max_position_embeddings": 4096})"},
};

}  // namespace

extern const ArchitectureRow kLfm2, kLfm2Moe;
constinit const ArchitectureRow kLfm2 = {
    .name = "lfm2",
    .pre_tokenizer = "lfm2",
    .hugging_face = kDenseTypes,
    .tensors = {.model = kModelTensors, .layer = kLayerTensors},
    .presets = kDensePresets,
    .read = read,
    .write = write,
    .make = make_architecture<Lfm2>,
};
constinit const ArchitectureRow kLfm2Moe = {
    .name = "lfm2moe",
    .pre_tokenizer = "lfm2",
    .hugging_face = kMoeTypes,
    .tensors = {.model = kModelTensors, .layer = kLayerTensors},
    .presets = kMoePresets,
    .read = read,
    .write = write,
    .make = make_architecture<Lfm2>,
};

}  // namespace fieldprint
