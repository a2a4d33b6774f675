// classic: the transformer of textbooks (Vaswani et al. 2017), as a decoder. docs/formats/classic.md has its keys and
// tensors.
//   x = embedding_scale * embedding[token] + sinusoid(position)
//   attended = attention(x) + x
//   x = ffn(attended) + attended, ffn(h) = Wdown gelu(Wup h)
//   logits = Wout x, Wout being the embedding where the file has no output matrix
// LayerNorm stands nowhere, before attention, ffn and the output, or behind each sum: norm(attention(x) + x).
#include <fmt/format.h>

#include "models/architecture.h"
#include "models/attention.h"
#include "models/tensor_rows.h"

namespace fieldprint {
namespace {

constexpr Condition kNorms = [](const Hyperparameters& hp, const LayerPlan&) {
  return hp.norm_place != NormPlace::kNone;
};
constexpr Condition kLastNorm = [](const Hyperparameters& hp, const LayerPlan&) {
  return hp.norm_place == NormPlace::kPre;
};
constexpr Condition kAttentionBiases = [](const Hyperparameters& hp, const LayerPlan&) { return hp.attention_biases; };
constexpr Condition kThirdBias = [](const Hyperparameters& hp, const LayerPlan& layer) {
  return hp.attention_biases && kThirdProjection(hp, layer);
};
constexpr Condition kFfnBiases = [](const Hyperparameters& hp, const LayerPlan&) { return hp.ffn_biases; };

// Named on Hugging Face as llama's tensors are.
constexpr auto kModelTensors = std::to_array<TensorRow>({
    {"token_embd.weight", "model.embed_tokens.weight", kAlways, {kVocabulary, kWidth}, There::kSame, Draw::kUnit},
    {"output_norm.weight", "model.norm.weight", kLastNorm, {kWidth}, There::kSame, Draw::kOutputNorm},
    {"output_norm.bias", "model.norm.bias", kLastNorm, {kWidth}, There::kSame, Draw::kBias},
    {"output.weight", "lm_head.weight", kUntied, {kVocabulary, kWidth}},
});

constexpr auto kOwnLayerRows = std::to_array<TensorRow>({
    {"attn_norm.weight", "input_layernorm.weight", kNorms, {kWidth}, There::kSame, Draw::kNorm},
    {"attn_norm.bias", "input_layernorm.bias", kNorms, {kWidth}, There::kSame, Draw::kBias},
    {"attn_q.weight", "self_attn.q_proj.weight", kAlways, {kQueries, kWidth}},
    {"attn_k.weight", "self_attn.k_proj.weight", kAlways, {kKeys, kWidth}},
    {"attn_v.weight", "self_attn.v_proj.weight", kAlways, {kKeys, kWidth}},
    {"attn_q.bias", "self_attn.q_proj.bias", kAttentionBiases, {kQueries}, There::kSame, Draw::kBias},
    {"attn_k.bias", "self_attn.k_proj.bias", kAttentionBiases, {kKeys}, There::kSame, Draw::kBias},
    {"attn_v.bias", "self_attn.v_proj.bias", kAttentionBiases, {kKeys}, There::kSame, Draw::kBias},
    {"attn_output.weight", "self_attn.o_proj.weight", kAlways, {kWidth, kQueries}, There::kSame, Draw::kResidual},
    {"attn_output.bias", "self_attn.o_proj.bias", kAttentionBiases, {kWidth}, There::kSame, Draw::kBias},
    {"ffn_norm.weight", "post_attention_layernorm.weight", kNorms, {kWidth}, There::kSame, Draw::kNorm},
    {"ffn_norm.bias", "post_attention_layernorm.bias", kNorms, {kWidth}, There::kSame, Draw::kBias},
    {"ffn_up.weight", "mlp.up_proj.weight", kAlways, {kFfn, kWidth}},
    {"ffn_up.bias", "mlp.up_proj.bias", kFfnBiases, {kFfn}, There::kSame, Draw::kBias},
    {"ffn_down.weight", "mlp.down_proj.weight", kAlways, {kWidth, kFfn}, There::kSame, Draw::kDown},
    {"ffn_down.bias", "mlp.down_proj.bias", kFfnBiases, {kWidth}, There::kSame, Draw::kBias},
});
constexpr auto kThirdBiasRows = std::to_array<TensorRow>({
    {"attn_r.bias", "", kThirdBias, {kThirdRows}, There::kSame, Draw::kBias},
});
constexpr auto kLayerTensors = join_rows(kOwnLayerRows, kAttentionKindRows, kThirdBiasRows);

class Classic final : public Architecture {
 public:
  Classic(Hyperparameters model, Weights tensors) : Architecture(std::move(model), std::move(tensors)) {
    const Hyperparameters& hp = hyperparameters();
    const Weights& w = weights();
    embedding_ = w("token_embd.weight");
    output_norm_ = {w("output_norm.weight"), w("output_norm.bias"), hp.eps};
    output_ = hp.tied ? embedding_ : w("output.weight");
    for (int i = 0; i < hp.layers; ++i) {
      blocks_.push_back({{w("attn_norm.weight", i), w("attn_norm.bias", i), hp.eps},
                         AttentionLayer(hp, i, w),
                         {w("ffn_norm.weight", i), w("ffn_norm.bias", i), hp.eps},
                         GeluFfn(i, w, hp.gelu)});
    }
  }

  Tensor forward(Ops& ops) const override {
    const Hyperparameters& hp = hyperparameters();
    Tensor x = ops.embed(embedding_);
    if (hp.embedding_scale != 1) ops.scale(x, hp.embedding_scale);
    ops.add_sinusoids(x);
    for (const Block& b : blocks_) {
      x = half(ops, std::move(x), b.attention_norm, [&](const Tensor& h) { return b.attention.forward(ops, h, {}); });
      if (&b == &blocks_.back()) x = ops.output_rows(std::move(x));  // the rest is done only for rows that want logits
      x = half(ops, std::move(x), b.ffn_norm, [&](const Tensor& h) { return b.ffn.forward(ops, h); });
    }
    if (hp.norm_place == NormPlace::kPre) x = output_norm_.forward(ops, x);
    return ops.output_head(std::move(x), output_);
  }

 private:
  struct Block {
    LayerNorm attention_norm;
    AttentionLayer attention;
    LayerNorm ffn_norm;
    GeluFfn ffn;
  };

  // part(x) + x, and the norm in its place.
  template <class Part>
  Tensor half(Ops& ops, Tensor x, const LayerNorm& norm, Part&& part) const {
    const NormPlace place = hyperparameters().norm_place;
    ops.add(x, place == NormPlace::kPre ? part(norm.forward(ops, x)) : part(x));
    return place == NormPlace::kPost ? norm.forward(ops, x) : std::move(x);
  }

  Weight embedding_, output_;
  LayerNorm output_norm_;
  std::vector<Block> blocks_;
};

// Positions are added once, at the bottom.
void without_rope(Hyperparameters& hp) {
  hp.rope = {};
  for (LayerPlan& layer : hp.plan) layer.rope = false;
}

Hyperparameters read(const Metadata& metadata) {
  Hyperparameters hp = read_common(metadata, "attention.layer_norm_epsilon");
  const auto has = [&](const char* tensor) { return metadata.file().find_tensor(tensor) != nullptr; };
  hp.norm_place = static_cast<NormPlace>(metadata.choice("norm", kNormPlaceNames));
  hp.gelu = static_cast<Gelu>(metadata.choice("gelu", kGeluNames, 0));
  hp.attention_biases = has("blk.0.attn_output.bias");
  hp.ffn_biases = has("blk.0.ffn_up.bias");
  for (const LayerPlan& layer : hp.plan) {
    if (layer.kv_heads == 0) metadata.unsupported("a layer that does not attend is not supported");
  }
  if (hp.experts > 0) metadata.unsupported("experts are not supported");
  if (hp.residual_scale != 1 || hp.logit_scale != 1)
    metadata.unsupported("a scaled residual stream and scaled logits are not supported");
  without_rope(hp);
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
  out.set("attention.layer_norm_epsilon", hp.eps);
  out.set("norm", kNormPlaceNames[static_cast<int>(hp.norm_place)]);
  out.set("gelu", kGeluNames[static_cast<int>(hp.gelu)]);
  write_settings(out, hp);
}

Hyperparameters read_classic_config(const Config& config) {
  const std::string activation = config.string("hidden_act", "gelu");
  Hyperparameters hp = read_common(config, {.eps_key = "layer_norm_eps",
                                            .eps = 1e-5,
                                            .rope_base = 10000,
                                            .context = 2048,
                                            .kv_heads = 0,
                                            .tied = false,
                                            .activation = activation});  // which is looked at here
  if (activation != "gelu" && activation != "gelu_new")
    config.unsupported(fmt::format("the activation '{}' is not supported, gelu and gelu_new are", activation));
  hp.gelu = activation == "gelu" ? Gelu::kErf : Gelu::kTanh;
  hp.norm_place = static_cast<NormPlace>(config.choice("norm", kNormPlaceNames, 1));
  hp.attention_biases = hp.ffn_biases = config.boolean("bias", true);
  hp.embedding_scale = static_cast<float>(config.number("embedding_scale", 1));
  without_rope(hp);
  return hp;
}

constexpr HuggingFaceType kTypes[] = {{"classic", read_classic_config}};

constexpr Preset kPresets[] = {
    {"tiny-classic", "a textbook transformer for tests, with norms before each half", "gpt-2", R"({
       "model_type": "classic", "num_hidden_layers": 3, "hidden_size": 256, "intermediate_size": 512,
       "num_attention_heads": 8, "vocab_size": 320, "max_position_embeddings": 4096, "norm": "pre"})"},
    {"tiny-classic-post", "the same with norms behind, the other GELU and a tied output", "gpt-2", R"({
       "model_type": "classic", "num_hidden_layers": 3, "hidden_size": 256, "intermediate_size": 512,
       "num_attention_heads": 8, "num_key_value_heads": 2, "vocab_size": 320, "max_position_embeddings": 4096,
       "norm": "post", "hidden_act": "gelu_new", "embedding_scale": 16, "tie_word_embeddings": true})"},
    {"tiny-classic-plain", "the same without norms and biases", "gpt-2", R"({
       "model_type": "classic", "num_hidden_layers": 2, "hidden_size": 256, "intermediate_size": 512,
       "num_attention_heads": 8, "vocab_size": 320, "max_position_embeddings": 4096, "norm": "none", "bias": false})"},
};

}  // namespace

extern const ArchitectureRow kClassic;
constinit const ArchitectureRow kClassic = {
    .name = "classic",
    .pre_tokenizer = "",
    .hugging_face = kTypes,
    .tensors = {.model = kModelTensors, .layer = kLayerTensors},
    .presets = kPresets,
    .read = read,
    .write = write,
    .make = make_architecture<Classic>,
};

}  // namespace fieldprint
