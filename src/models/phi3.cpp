// Phi 3, 3.5 and 4 (Abdin et al. 2024): a transformer whose q, k, v are rows of one matrix and whose gate and up are
// rows of another; RoPE on half-split pairs of a part of the head, with LongRoPE's divisors for long contexts.
#include <fmt/format.h>

#include <algorithm>

#include "models/tensor_rows.h"
#include "models/transformer.h"

namespace fieldprint {
namespace {

constexpr Length kTwoFfns = [](const Hyperparameters&, const LayerPlan& layer) { return 2 * int64_t{layer.ffn}; };

constexpr auto kModelTensors = join_rows(kModelRows, kRopeRows);
constexpr auto kFusedRows = std::to_array<TensorRow>({
    {"attn_qkv.weight", "self_attn.qkv_proj.weight", kAlways, {kQkv, kWidth}},
});
constexpr auto kFfnRows = std::to_array<TensorRow>({
    {"ffn_up.weight", "mlp.gate_up_proj.weight", kAlways, {kTwoFfns, kWidth}},
    {"ffn_down.weight", "mlp.down_proj.weight", kAlways, {kWidth, kFfn}, There::kSame, Draw::kDown},
});
constexpr auto kLayerTensors =
    join_rows(kAttnNormRows, kFusedRows, kAttnOutputRows, kAttentionKindRows, kFfnNormRows, kFfnRows);

// Every layer's window; one as long as the context is none.
void set_window(Hyperparameters& hp, int64_t window) {
  for (LayerPlan& layer : hp.plan) layer.window = window < hp.context ? static_cast<int>(window) : 0;
}

Hyperparameters read(const Metadata& metadata) {
  Hyperparameters hp = read_transformer(metadata);
  set_window(hp, metadata.integer("attention.sliding_window", 0, INT32_MAX, 0));
  for (LayerPlan& layer : hp.plan) layer.fused_qkv = true;
  return hp;
}

void write(const MetadataWriter& out, const Hyperparameters& hp) {
  write_transformer(out, hp);
  out.set("attention.sliding_window", hp.plan[0].window);
  out.set("rope.scaling.original_context_length", hp.rope.original_context);
}

Hyperparameters read_phi3_config(const Config& config) {
  constexpr int kOriginalContext = 4096;
  Hyperparameters hp = read_common(config, {.eps_key = "rms_norm_eps",
                                            .eps = 1e-5,
                                            .rope_base = 10000,
                                            .context = 4096,
                                            .kv_heads = 0,
                                            .tied = false,
                                            .original_context = kOriginalContext});
  if (hp.head_dim * hp.heads != hp.width)
    config.unsupported(
        fmt::format("{} heads of {} in a width of {} are not supported", hp.heads, hp.head_dim, hp.width));
  set_window(hp, config.integer("sliding_window", 0, 1 << 30, 0));
  for (LayerPlan& layer : hp.plan) layer.fused_qkv = true;
  if (hp.rope.scaling != RopeScaling::kLongRope) {
    hp.rope.original_context =
        static_cast<int>(config.integer("original_max_position_embeddings", 1, 1 << 30, kOriginalContext));
  }
  return hp;
}

constexpr HuggingFaceType kTypes[] = {{"phi3", read_phi3_config}};

constexpr Preset kPresets[] = {
    {"phi-3-mini", "Phi-3-mini-4k", "default", R"({
       "model_type": "phi3", "num_hidden_layers": 32, "hidden_size": 3072, "intermediate_size": 8192,
       "num_attention_heads": 32, "num_key_value_heads": 32, "vocab_size": 32064, "max_position_embeddings": 4096,
       "sliding_window": 2047})"},
    // The divisors of the real one are trained; these only have its shape.
    {"phi-4-mini", "Phi-4-mini, without its LongRoPE", "gpt-4o", R"({
       "model_type": "phi3", "num_hidden_layers": 32, "hidden_size": 3072, "intermediate_size": 8192,
       "num_attention_heads": 24, "num_key_value_heads": 8, "vocab_size": 200064, "max_position_embeddings": 131072,
       "partial_rotary_factor": 0.75, "sliding_window": 262144, "tie_word_embeddings": true})"},
    {"tiny-phi3", "a Phi 3 for tests", "smollm", R"({
       "model_type": "phi3", "num_hidden_layers": 3, "hidden_size": 256, "intermediate_size": 512,
       "num_attention_heads": 8, "num_key_value_heads": 2, "vocab_size": 320, "max_position_embeddings": 4096,
       "original_max_position_embeddings": 1024, "partial_rotary_factor": 0.5, "sliding_window": 100,
       "rope_scaling": {"type": "longrope", "long_factor": [1, 1.5, 2, 3, 4, 6, 8, 12],
                        "short_factor": [1, 1, 1, 1.1, 1.2, 1.3, 1.4, 1.5]}})"},
};

}  // namespace

extern const ArchitectureRow kPhi3;
constinit const ArchitectureRow kPhi3 = {
    .name = "phi3",
    .pre_tokenizer = "",
    .hugging_face = kTypes,
    .tensors = {.model = kModelTensors, .layer = kLayerTensors},
    .presets = kPresets,
    .read = read,
    .write = write,
    .make = make_transformer<RopePairs::kHalves>,
};

}  // namespace fieldprint
