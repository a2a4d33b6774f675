// gpt2 (Radford et al. 2019): pre-norm blocks with LayerNorm, learned positions, a GELU without a gate; biases
// everywhere.
//   x = token + position
//   x += attention(norm(x; attn_norm))
//   x += Wdown gelu(Wup norm(x; ffn_norm)), GELU in the tanh form
//   logits = Wout norm(x; output_norm), Wout being the embedding where the file has no output matrix
// q, k and v are rows of one matrix. On Hugging Face matrices are stored by columns (Conv1D).
#include <fmt/format.h>

#include "models/architecture.h"
#include "models/attention.h"
#include "models/tensor_rows.h"

namespace fieldprint {
namespace {

constexpr auto kModelTensors = std::to_array<TensorRow>({
    {"token_embd.weight", "wte.weight", kAlways, {kVocabulary, kWidth}, There::kSame, Draw::kUnit},
    {"position_embd.weight", "wpe.weight", kAlways, {kContextLength, kWidth}, There::kSame, Draw::kUnit},
    {"output_norm.weight", "ln_f.weight", kAlways, {kWidth}, There::kSame, Draw::kOutputNorm},
    {"output_norm.bias", "ln_f.bias", kAlways, {kWidth}, There::kSame, Draw::kBias},
    {"output.weight", "lm_head.weight", kUntied, {kVocabulary, kWidth}},
});

constexpr auto kOwnLayerRows = std::to_array<TensorRow>({
    {"attn_norm.weight", "ln_1.weight", kAlways, {kWidth}, There::kSame, Draw::kNorm},
    {"attn_norm.bias", "ln_1.bias", kAlways, {kWidth}, There::kSame, Draw::kBias},
    {"attn_qkv.weight", "attn.c_attn.weight", kAlways, {kQkv, kWidth}, There::kTransposed},
    {"attn_qkv.bias", "attn.c_attn.bias", kAlways, {kQkv}, There::kSame, Draw::kBias},
    {"attn_output.weight", "attn.c_proj.weight", kAlways, {kWidth, kQueries}, There::kTransposed, Draw::kResidual},
    {"attn_output.bias", "attn.c_proj.bias", kAlways, {kWidth}, There::kSame, Draw::kBias},
    {"ffn_norm.weight", "ln_2.weight", kAlways, {kWidth}, There::kSame, Draw::kNorm},
    {"ffn_norm.bias", "ln_2.bias", kAlways, {kWidth}, There::kSame, Draw::kBias},
    {"ffn_up.weight", "mlp.c_fc.weight", kAlways, {kFfn, kWidth}, There::kTransposed},
    {"ffn_up.bias", "mlp.c_fc.bias", kAlways, {kFfn}, There::kSame, Draw::kBias},
    {"ffn_down.weight", "mlp.c_proj.weight", kAlways, {kWidth, kFfn}, There::kTransposed, Draw::kDown},
    {"ffn_down.bias", "mlp.c_proj.bias", kAlways, {kWidth}, There::kSame, Draw::kBias},
});
constexpr auto kLayerTensors = join_rows(kOwnLayerRows, kAttentionKindRows);

// Masks of attention that old checkpoints store.
constexpr std::string_view kMasks[] = {"h.{}.attn.bias", "h.{}.attn.masked_bias"};

class Gpt2 final : public Architecture {
 public:
  Gpt2(Hyperparameters model, Weights tensors) : Architecture(std::move(model), std::move(tensors)) {
    const Hyperparameters& hp = hyperparameters();
    const Weights& w = weights();
    tokens_ = w("token_embd.weight");
    positions_ = w("position_embd.weight");
    output_norm_ = {w("output_norm.weight"), w("output_norm.bias"), hp.eps};
    output_ = hp.tied ? tokens_ : w("output.weight");
    for (int i = 0; i < hp.layers; ++i) {
      blocks_.push_back({{w("attn_norm.weight", i), w("attn_norm.bias", i), hp.eps},
                         AttentionLayer(hp, i, w),
                         {w("ffn_norm.weight", i), w("ffn_norm.bias", i), hp.eps},
                         GeluFfn(i, w, Gelu::kTanh)});
    }
  }

  Tensor forward(Ops& ops) const override {
    Tensor x = ops.embed(tokens_);
    ops.add_positions(x, positions_);
    for (const Block& b : blocks_) {
      ops.add(x, b.attention.forward(ops, b.attention_norm.forward(ops, x), {}));
      if (&b == &blocks_.back()) x = ops.output_rows(std::move(x));  // the rest is done only for rows that want logits
      ops.add(x, b.ffn.forward(ops, b.ffn_norm.forward(ops, x)));
    }
    return ops.output_head(output_norm_.forward(ops, x), output_);
  }

 private:
  struct Block {
    LayerNorm attention_norm;
    AttentionLayer attention;
    LayerNorm ffn_norm;
    GeluFfn ffn;
  };

  Weight tokens_, positions_, output_;
  LayerNorm output_norm_;
  std::vector<Block> blocks_;
};

void set_common(Hyperparameters& hp) {
  hp.rope.dims = 0;
  for (LayerPlan& layer : hp.plan) {
    layer.rope = false;
    layer.fused_qkv = true;
  }
}

Hyperparameters read(const Metadata& metadata) {
  Hyperparameters hp = read_common(metadata, "attention.layer_norm_epsilon");
  for (const LayerPlan& layer : hp.plan) {
    if (layer.kv_heads == 0) metadata.unsupported("a GPT-2 with layers that do not attend is not supported");
  }
  set_common(hp);
  return hp;
}

void write(const MetadataWriter& out, const Hyperparameters& hp) {
  out.set("block_count", hp.layers);
  out.set("context_length", hp.context);
  out.set("embedding_length", hp.width);
  out.set("feed_forward_length", hp.plan[0].ffn);
  out.set("attention.head_count", hp.heads);
  out.set("attention.layer_norm_epsilon", hp.eps);
  write_settings(out, hp);
}

Hyperparameters read_gpt2_config(const Config& config) {
  Hyperparameters hp;
  hp.layers = static_cast<int>(config.integer("n_layer", 1, 1000, 12));
  hp.width = static_cast<int>(config.integer("n_embd", 1, 1 << 20, 768));
  hp.vocabulary = static_cast<int>(config.integer("vocab_size", 1, 1 << 24, 50257));
  hp.context = static_cast<int>(config.integer("n_positions", 1, 1 << 24, 1024));
  hp.heads = static_cast<int>(config.integer("n_head", 1, 1 << 12, 12));
  hp.head_dim = hp.width / hp.heads;
  if (hp.head_dim * hp.heads != hp.width) config.refuse(fmt::format("{} heads do not divide {}", hp.heads, hp.width));
  hp.eps = static_cast<float>(config.number("layer_norm_epsilon", 1e-5));
  if (!(hp.eps >= 0 && hp.eps <= 1)) config.refuse("layer_norm_epsilon should be 0 to 1");
  hp.tied = config.boolean("tie_word_embeddings", true);
  if (const auto act = config.string("activation_function", "gelu_new");
      act != "gelu_new" && act != "gelu_pytorch_tanh")
    config.unsupported(fmt::format("the activation '{}' is not supported in a GPT-2, gelu_new is", act));
  if (!config.boolean("scale_attn_weights", true) || config.boolean("scale_attn_by_inverse_layer_idx", false))
    config.unsupported("a GPT-2 that scales its attention otherwise than by the heads' size is not supported");
  if (config.boolean("add_cross_attention", false))
    config.unsupported("a GPT-2 that attends to another model is not supported");
  LayerPlan layer;
  layer.kv_heads = hp.heads;
  layer.ffn = static_cast<int>(config.integer("n_inner", 1, 1 << 22, 4 * int64_t{hp.width}));
  layer.attention = &dot_kind();
  hp.plan.assign(static_cast<size_t>(hp.layers), layer);
  hp.dense_layers = hp.layers;
  set_common(hp);
  return hp;
}

constexpr HuggingFaceType kTypes[] = {
    {.name = "gpt2", .read = read_gpt2_config, .left_out = kMasks, .optional_prefix = "transformer."}};

constexpr Preset kPresets[] = {
    {"gpt2", "GPT-2", "gpt-2", R"({
       "model_type": "gpt2", "n_layer": 12, "n_embd": 768, "n_head": 12, "vocab_size": 50257, "n_positions": 1024})"},
    {"tiny-gpt2", "a GPT-2 for tests", "gpt-2", R"({
       "model_type": "gpt2", "n_layer": 3, "n_embd": 256, "n_head": 8, "n_inner": 512, "vocab_size": 320,
       "n_positions": 512})"},
};

}  // namespace

extern const ArchitectureRow kGpt2;
constinit const ArchitectureRow kGpt2 = {
    .name = "gpt2",
    .pre_tokenizer = "gpt-2",
    .hugging_face = kTypes,
    .tensors =
        {
            .model = kModelTensors,
            .layer = kLayerTensors,
            .layers_there = "h.{}.",
        },
    .presets = kPresets,
    .read = read,
    .write = write,
    .make = make_architecture<Gpt2>,
};

}  // namespace fieldprint
