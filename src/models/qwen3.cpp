// Qwen 3 (Yang et al. 2025), dense (`qwen3`) and mixture of experts (`qwen3moe`): a transformer whose queries and keys
// are RMS-normed per head, RoPE on half-split pairs. Heads need not add up to the width.
#include <fmt/format.h>

#include "models/tensor_rows.h"
#include "models/transformer.h"

namespace fieldprint {
namespace {

constexpr auto kModelTensors = join_rows(kModelRows, kRopeRows);
constexpr auto kAttentionRows =
    join_rows(kAttnNormRows, kQkvRows<There::kSame>, kHeadNormRows, kAttnOutputRows, kAttentionKindRows, kFfnNormRows);
constexpr auto kDenseLayerTensors = join_rows(kAttentionRows, kDenseRows);
constexpr auto kMoeLayerTensors =
    join_rows(kAttentionRows, expert_rows("mlp.gate.weight", "mlp.experts.<>.gate_proj.weight",
                                          "mlp.experts.<>.up_proj.weight", "mlp.experts.<>.down_proj.weight"));

Hyperparameters read_dense_config(const Config& config) {
  Hyperparameters hp = read_common(config, {.eps_key = "rms_norm_eps",
                                            .eps = 1e-6,
                                            .rope_base = 10000,
                                            .context = 32768,
                                            .kv_heads = 32,
                                            .tied = false,
                                            .head_dim = 128});
  refuse_window(
      config, hp,
      config.boolean("use_sliding_window", false) && config.integer("max_window_layers", 0, 1 << 30, 28) < hp.layers);
  return hp;
}

Hyperparameters read_moe_config(const Config& config) {
  Hyperparameters hp = read_common(
      config,
      {.eps_key = "rms_norm_eps", .eps = 1e-6, .rope_base = 10000, .context = 32768, .kv_heads = 4, .tied = false});
  refuse_window(config, hp, config.boolean("use_sliding_window", false));
  if (!config.boolean("norm_topk_prob", false))
    config.unsupported("experts whose weights are not normalised (norm_topk_prob) are not supported");
  if (config.integer("decoder_sparse_step", 1, 1 << 20, 1) != 1 || !config.integers("mlp_only_layers").empty())
    config.unsupported("layers without experts among layers with experts are not supported");
  const auto experts =
      static_cast<int>(config.integer("num_experts", 1, 1 << 12, config.integer("num_local_experts", 1, 1 << 12, 128)));
  set_experts(hp, experts, static_cast<int>(config.integer("num_experts_per_tok", 1, experts, 8)),
              static_cast<int>(config.integer("moe_intermediate_size", 1, 1 << 22, 768)));
  return hp;
}

constexpr HuggingFaceType kDenseTypes[] = {{"qwen3", read_dense_config}};
constexpr HuggingFaceType kMoeTypes[] = {{"qwen3_moe", read_moe_config}};

constexpr Preset kDensePresets[] = {
    {"qwen3-0.6b", "Qwen3-0.6B", "qwen2", R"({
       "model_type": "qwen3", "num_hidden_layers": 28, "hidden_size": 1024, "intermediate_size": 3072,
       "num_attention_heads": 16, "num_key_value_heads": 8, "vocab_size": 151936, "max_position_embeddings": 40960,
       "rope_theta": 1e6, "tie_word_embeddings": true})"},
    {"qwen3-1.7b", "Qwen3-1.7B", "qwen2", R"({
       "model_type": "qwen3", "num_hidden_layers": 28, "hidden_size": 2048, "intermediate_size": 6144,
       "num_attention_heads": 16, "num_key_value_heads": 8, "vocab_size": 151936, "max_position_embeddings": 40960,
       "rope_theta": 1e6, "tie_word_embeddings": true})"},
    {"qwen3-4b", "Qwen3-4B", "qwen2", R"({
       "model_type": "qwen3", "num_hidden_layers": 36, "hidden_size": 2560, "intermediate_size": 9728,
       "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 151936, "max_position_embeddings": 40960,
       "rope_theta": 1e6, "tie_word_embeddings": true})"},
    {"qwen3-8b", "Qwen3-8B", "qwen2", R"({
       "model_type": "qwen3", "num_hidden_layers": 36, "hidden_size": 4096, "intermediate_size": 12288,
       "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 151936, "max_position_embeddings": 40960,
       "rope_theta": 1e6})"},
    {"tiny-qwen3", "a Qwen 3 for tests", "qwen2", R"({
       "model_type": "qwen3", "num_hidden_layers": 3, "hidden_size": 256, "intermediate_size": 512,
       "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 64, "vocab_size": 320,
       "max_position_embeddings": 4096, "rope_theta": 1e6, "tie_word_embeddings": true})"},
};

constexpr Preset kMoePresets[] = {
    {"qwen3-30b-a3b", "Qwen3-30B-A3B: 30.5 B weights, 3.3 B of them active", "qwen2", R"({
       "model_type": "qwen3_moe", "num_hidden_layers": 48, "hidden_size": 2048, "intermediate_size": 6144,
       "num_attention_heads": 32, "num_key_value_heads": 4, "head_dim": 128, "num_experts": 128,
       "num_experts_per_tok": 8, "moe_intermediate_size": 768, "norm_topk_prob": true, "vocab_size": 151936,
       "max_position_embeddings": 40960, "rope_theta": 1e6})"},
    {"tiny-qwen3moe", "a Qwen 3 with experts for tests", "qwen2", R"({
       "model_type": "qwen3_moe", "num_hidden_layers": 3, "hidden_size": 256, "intermediate_size": 512,
       "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 64, "num_experts": 6,
       "num_experts_per_tok": 3, "moe_intermediate_size": 256, "norm_topk_prob": true, "vocab_size": 320,
       "max_position_embeddings": 4096, "rope_theta": 1e6})"},
};

}  // namespace

extern const ArchitectureRow kQwen3, kQwen3Moe;
constinit const ArchitectureRow kQwen3 = {
    .name = "qwen3",
    .pre_tokenizer = "qwen2",
    .hugging_face = kDenseTypes,
    .tensors = {.model = kModelTensors, .layer = kDenseLayerTensors},
    .presets = kDensePresets,
    .read = read_transformer,
    .write = write_transformer,
    .make = make_transformer<RopePairs::kHalves>,
};
constinit const ArchitectureRow kQwen3Moe = {
    .name = "qwen3moe",
    .pre_tokenizer = "qwen2",
    .hugging_face = kMoeTypes,
    .tensors = {.model = kModelTensors, .layer = kMoeLayerTensors},
    .presets = kMoePresets,
    .read = read_transformer,
    .write = write_transformer,
    .make = make_transformer<RopePairs::kHalves>,
};

}  // namespace fieldprint
