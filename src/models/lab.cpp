// lab: the model of the attention lab, as little as lets a kind of attention show what it can learn.
// docs/formats/lab.md has its keys and tensors.
//   x = embedding[token]
//   x = attention(norm(x)), or + x, in each layer; RoPE on q, k and r
//   x = ffn(norm(x)), or + x, in layers that have one
//   logits = Wout norm(x), Wout being the embedding where the file has no output matrix
// All but embedding, attention and output may be missing: residuals, norms (RMS), FFN (with or without a gate), RoPE.
#include <fmt/format.h>

#include <algorithm>
#include <variant>

#include "models/architecture.h"
#include "models/attention.h"
#include "models/rope.h"
#include "models/tensor_rows.h"

namespace fieldprint {
namespace {

constexpr Condition kNorms = [](const Hyperparameters& hp, const LayerPlan&) {
  return hp.norm_place != NormPlace::kNone;
};
constexpr Condition kFfnNorms = [](const Hyperparameters& hp, const LayerPlan& layer) {
  return hp.norm_place != NormPlace::kNone && layer.ffn > 0;
};
constexpr Condition kLastNorm = [](const Hyperparameters& hp, const LayerPlan&) { return hp.output_norm; };
constexpr Condition kHeadNorms = [](const Hyperparameters& hp, const LayerPlan&) { return hp.head_norm_weights; };
constexpr Condition kThirdHeadNorm = [](const Hyperparameters& hp, const LayerPlan& layer) {
  return hp.head_norm_weights && kThirdProjection(hp, layer);
};
constexpr Condition kBiases = [](const Hyperparameters& hp, const LayerPlan&) { return hp.attention_biases; };
constexpr Condition kThirdBias = [](const Hyperparameters& hp, const LayerPlan& layer) {
  return hp.attention_biases && kThirdProjection(hp, layer);
};
constexpr Condition kHasFfn = [](const Hyperparameters&, const LayerPlan& layer) { return layer.ffn > 0; };
constexpr Condition kGate = [](const Hyperparameters& hp, const LayerPlan& layer) {
  return layer.ffn > 0 && hp.ffn_gate;
};
constexpr Condition kFfnBias = [](const Hyperparameters& hp, const LayerPlan& layer) {
  return layer.ffn > 0 && hp.ffn_biases;
};

// Named on Hugging Face as llama's tensors are.
constexpr auto kModelTensors = std::to_array<TensorRow>({
    {"token_embd.weight", "model.embed_tokens.weight", kAlways, {kVocabulary, kWidth}, There::kSame, Draw::kUnit},
    {"output_norm.weight", "model.norm.weight", kLastNorm, {kWidth}, There::kSame, Draw::kOutputNorm},
    {"output.weight", "lm_head.weight", kUntied, {kVocabulary, kWidth}},
});

// No residual carries the stream past attention, so its output keeps the size of what it was given.
constexpr auto kLayerTensors = join_rows(
    std::to_array<TensorRow>({
        {"attn_norm.weight", "input_layernorm.weight", kNorms, {kWidth}, There::kSame, Draw::kNorm},
        {"attn_q.weight", "self_attn.q_proj.weight", kAlways, {kQueries, kWidth}},
        {"attn_k.weight", "self_attn.k_proj.weight", kAlways, {kKeys, kWidth}},
        {"attn_v.weight", "self_attn.v_proj.weight", kAlways, {kKeys, kWidth}},
        {"attn_q.bias", "self_attn.q_proj.bias", kBiases, {kQueries}, There::kSame, Draw::kBias},
        {"attn_k.bias", "self_attn.k_proj.bias", kBiases, {kKeys}, There::kSame, Draw::kBias},
        {"attn_v.bias", "self_attn.v_proj.bias", kBiases, {kKeys}, There::kSame, Draw::kBias},
        {"attn_q_norm.weight", "self_attn.q_norm.weight", kHeadNorms, {kHeadDim}, There::kSame, Draw::kNorm},
        {"attn_k_norm.weight", "self_attn.k_norm.weight", kHeadNorms, {kHeadDim}, There::kSame, Draw::kNorm},
        {"attn_r_norm.weight", "", kThirdHeadNorm, {kHeadDim}, There::kSame, Draw::kNorm},
        {"attn_output.weight", "self_attn.o_proj.weight", kAlways, {kWidth, kQueries}},
        {"attn_output.bias", "self_attn.o_proj.bias", kBiases, {kWidth}, There::kSame, Draw::kBias},
    }),
    kAttentionKindRows,
    std::to_array<TensorRow>({
        {"attn_r.bias", "", kThirdBias, {kThirdRows}, There::kSame, Draw::kBias},
        {"ffn_norm.weight", "post_attention_layernorm.weight", kFfnNorms, {kWidth}, There::kSame, Draw::kNorm},
        {"ffn_gate.weight", "mlp.gate_proj.weight", kGate, {kFfn, kWidth}},
        {"ffn_up.weight", "mlp.up_proj.weight", kHasFfn, {kFfn, kWidth}},
        {"ffn_up.bias", "mlp.up_proj.bias", kFfnBias, {kFfn}, There::kSame, Draw::kBias},
        {"ffn_down.weight", "mlp.down_proj.weight", kHasFfn, {kWidth, kFfn}},
        {"ffn_down.bias", "mlp.down_proj.bias", kFfnBias, {kWidth}, There::kSame, Draw::kBias},
    }));

class Lab final : public Architecture {
 public:
  Lab(Hyperparameters model, Weights tensors) : Architecture(std::move(model), std::move(tensors)) {
    const Hyperparameters& hp = hyperparameters();
    const Weights& w = weights();
    rope_ = make_rope(hp.rope, hp.context, RopePairs::kHalves);
    embedding_ = w("token_embd.weight");
    output_norm_ = {w("output_norm.weight"), hp.eps};
    output_ = hp.tied ? embedding_ : w("output.weight");
    for (int i = 0; i < hp.layers; ++i) {
      Block block{{w("attn_norm.weight", i), hp.eps}, AttentionLayer(hp, i, w), {w("ffn_norm.weight", i), hp.eps}, {}};
      if (hp.plan[static_cast<size_t>(i)].ffn == 0) block.ffn = std::monostate();
      else if (hp.ffn_gate) block.ffn = FeedForward(hp, i, w);
      else block.ffn = GeluFfn(i, w, hp.gelu);
      blocks_.push_back(std::move(block));
    }
  }

  Tensor forward(Ops& ops) const override {
    Tensor x = ops.embed(embedding_);
    for (const Block& b : blocks_) {
      x = half(ops, std::move(x), b.attention_norm,
               [&](const Tensor& h) { return b.attention.forward(ops, h, rope_); });
      if (&b == &blocks_.back()) x = ops.output_rows(std::move(x));  // the rest is done only for rows that want logits
      std::visit(
          [&](const auto& ffn) {
            if constexpr (requires { ffn.forward(ops, x); })
              x = half(ops, std::move(x), b.ffn_norm, [&](const Tensor& h) { return ffn.forward(ops, h); });
          },
          b.ffn);
    }
    if (output_norm_.weight.given()) x = output_norm_.forward(ops, x);
    return ops.output_head(std::move(x), output_);
  }

 private:
  struct Block {
    RmsNorm attention_norm;  // without a weight: none
    AttentionLayer attention;
    RmsNorm ffn_norm;
    std::variant<std::monostate, GeluFfn, FeedForward> ffn;
  };

  template <class Part>
  Tensor half(Ops& ops, Tensor x, const RmsNorm& norm, Part&& part) const {
    Tensor y = norm.weight.given() ? part(norm.forward(ops, x)) : part(x);
    if (!hyperparameters().residual) return y;
    ops.add(x, y);
    return x;
  }

  Rope rope_;
  Weight embedding_, output_;
  RmsNorm output_norm_;
  std::vector<Block> blocks_;
};

constexpr std::string_view kHeadNormNames[] = {"none", "rms"}, kPositionNames[] = {"none", "rope"};

void set_rope(Hyperparameters& hp, bool rope) {
  for (LayerPlan& layer : hp.plan) layer.rope = rope;
}

Hyperparameters read(const Metadata& metadata) {
  Hyperparameters hp = read_common(metadata, "attention.layer_norm_rms_epsilon", 0);
  const auto has = [&](const std::string& tensor) { return metadata.file().find_tensor(tensor) != nullptr; };
  const auto with_ffn =
      std::find_if(hp.plan.begin(), hp.plan.end(), [](const LayerPlan& layer) { return layer.ffn > 0; });
  hp.norm_place = static_cast<NormPlace>(metadata.choice("norm", std::span(kNormPlaceNames).first(2), 0));
  hp.gelu = static_cast<Gelu>(metadata.choice("gelu", kGeluNames, 0));
  hp.residual = metadata.boolean("residual", false);
  hp.head_norm = metadata.choice("attention.head_norm", kHeadNormNames, 0) == 1;
  set_rope(hp, metadata.choice("positions", kPositionNames, 1) == 1);
  hp.output_norm = has("output_norm.weight");
  hp.head_norm_weights = has("blk.0.attn_q_norm.weight");
  hp.attention_biases = has("blk.0.attn_output.bias");
  hp.ffn_gate = has(fmt::format("blk.{}.ffn_gate.weight", with_ffn - hp.plan.begin()));
  hp.ffn_biases = has(fmt::format("blk.{}.ffn_up.bias", with_ffn - hp.plan.begin()));
  for (const LayerPlan& layer : hp.plan) {
    if (layer.kv_heads == 0) metadata.unsupported("a layer that does not attend is not supported");
  }
  if (hp.experts > 0) metadata.unsupported("experts are not supported");
  if (hp.embedding_scale != 1 || hp.residual_scale != 1 || hp.logit_scale != 1)
    metadata.unsupported("a scaled embedding, residual stream or logits are not supported");
  return hp;
}

void write(const MetadataWriter& out, const Hyperparameters& hp) {
  std::vector<int> ffn, kv_heads;
  for (const LayerPlan& layer : hp.plan) ffn.push_back(layer.ffn), kv_heads.push_back(layer.kv_heads);
  out.set("block_count", hp.layers);
  out.set("context_length", hp.context);
  out.set("embedding_length", hp.width);
  out.set("feed_forward_length", ffn);
  out.set("attention.head_count", hp.heads);
  out.set("attention.head_count_kv", kv_heads);
  out.set("attention.layer_norm_rms_epsilon", hp.eps);
  out.set("attention.head_norm", kHeadNormNames[hp.head_norm]);
  out.set("rope.freq_base", static_cast<float>(hp.rope.base));
  if (hp.rope.dims != hp.head_dim) out.set("rope.dimension_count", hp.rope.dims);
  out.set("positions", kPositionNames[hp.plan[0].rope]);
  out.set("norm", kNormPlaceNames[static_cast<int>(hp.norm_place)]);
  out.set("gelu", kGeluNames[static_cast<int>(hp.gelu)]);
  out.set_flag("residual", hp.residual);
  write_settings(out, hp);
}

// Without a key: one block of attention by dot product, and nothing else.
Hyperparameters read_lab_config(const Config& config) {
  Hyperparameters hp;
  hp.layers = static_cast<int>(config.integer("num_hidden_layers", 1, 1000, 1));
  hp.width = static_cast<int>(config.integer("hidden_size", 1, 1 << 20, 64));
  hp.vocabulary = static_cast<int>(config.integer("vocab_size", 1, 1 << 24));
  hp.context = static_cast<int>(config.integer("max_position_embeddings", 1, 1 << 30, 4096));
  hp.heads = static_cast<int>(config.integer("num_attention_heads", 1, 1 << 12, 4));
  hp.head_dim = static_cast<int>(config.integer("head_dim", 1, 1 << 12, hp.width / hp.heads));
  hp.eps = static_cast<float>(config.number("rms_norm_eps", 1e-6));
  if (!(hp.eps >= 0 && hp.eps <= 1)) config.refuse("rms_norm_eps should be 0 to 1");
  hp.tied = config.boolean("tie_word_embeddings", false);
  hp.rope.dims = hp.head_dim;
  hp.rope.base = config.number("rope_theta", 10000);
  if (!(hp.rope.base > 0)) config.refuse("rope_theta should be positive");
  hp.residual = config.boolean("residual", false);
  hp.norm_place = static_cast<NormPlace>(config.choice("norm", std::span(kNormPlaceNames).first(2), 0));
  hp.output_norm = config.boolean("output_norm", false);
  hp.head_norm = config.choice("head_norm", kHeadNormNames, 0) == 1;
  hp.head_norm_weights = config.boolean("head_norm_weights", false);
  hp.attention_biases = config.boolean("attention_bias", false);
  hp.ffn_gate = config.boolean("gated", false);
  hp.ffn_biases = config.boolean("mlp_bias", false) && !hp.ffn_gate;
  hp.gelu = static_cast<Gelu>(config.choice("gelu", kGeluNames, 0));
  if (config.has("attention_scale")) hp.attention_scale = static_cast<float>(config.number("attention_scale"));
  const std::string kind = config.string("attention_kind", dot_kind().name);
  LayerPlan layer;
  layer.kv_heads = static_cast<int>(config.integer("num_key_value_heads", 1, 1 << 12, hp.heads));
  layer.ffn = static_cast<int>(config.integer("intermediate_size", 0, 1 << 22, 0));
  layer.attention = find_attention_kind(kind);
  if (layer.attention == nullptr || layer.attention->anchors)
    config.unsupported(fmt::format("attention of kind '{}' is not supported here", kind));
  hp.plan.assign(static_cast<size_t>(hp.layers), layer);
  set_rope(hp, config.choice("positions", kPositionNames, 1) == 1);
  hp.dense_layers = hp.layers;
  return hp;
}

constexpr HuggingFaceType kTypes[] = {{"lab", read_lab_config}};

// Scores of degree 6 have a scale at which random weights leave no key nearly all of the attention.
constexpr Preset kPresets[] = {
    {"lab-dot", "the attention lab's model: one block of attention by dot product, nothing else", "gpt-2", R"({
       "model_type": "lab", "vocab_size": 320})"},
    {"lab-gram", "the same by Gram determinant, on normed heads", "gpt-2", R"({
       "model_type": "lab", "vocab_size": 320, "attention_kind": "gram", "attention_scale": 0.001,
       "attention_bias": true, "head_norm": "rms"})"},
    {"lab-gram-key", "the same with r at the key", "gpt-2", R"({
       "model_type": "lab", "vocab_size": 320, "attention_kind": "gram_key", "attention_scale": 0.001,
       "head_norm": "rms"})"},
    {"lab-full", "the lab's model with all that it may have", "gpt-2", R"({
       "model_type": "lab", "num_hidden_layers": 2, "hidden_size": 128, "num_key_value_heads": 2, "vocab_size": 320,
       "intermediate_size": 256, "gated": true, "residual": true, "norm": "pre", "output_norm": true,
       "head_norm_weights": true, "tie_word_embeddings": true})"},
    {"lab-gelu", "the lab's model with an FFN of GELU and biases, without RoPE", "gpt-2", R"({
       "model_type": "lab", "num_hidden_layers": 2, "vocab_size": 320, "intermediate_size": 256, "mlp_bias": true,
       "residual": true, "positions": "none"})"},
};

}  // namespace

extern const ArchitectureRow kLab;
constinit const ArchitectureRow kLab = {
    .name = "lab",
    .pre_tokenizer = "",
    .hugging_face = kTypes,
    .tensors = {.model = kModelTensors, .layer = kLayerTensors},
    .presets = kPresets,
    .read = read,
    .write = write,
    .make = make_architecture<Lab>,
};

}  // namespace fieldprint
