// Qwen 2 and 2.5 (Yang et al. 2024): a transformer whose queries, keys and values have biases, RoPE on half-split
// pairs.
#include "models/tensor_rows.h"
#include "models/transformer.h"

namespace fieldprint {
namespace {

constexpr auto kModelTensors = join_rows(kModelRows, kRopeRows);
constexpr auto kLayerTensors = join_rows(kAttnNormRows, kQkvRows<There::kSame>, kQkvBiasRows, kAttnOutputRows,
                                         kAttentionKindRows, kFfnNormRows, kDenseRows);

Hyperparameters read_qwen2_config(const Config& config) {
  Hyperparameters hp = read_common(
      config,
      {.eps_key = "rms_norm_eps", .eps = 1e-6, .rope_base = 10000, .context = 32768, .kv_heads = 32, .tied = false});
  refuse_window(
      config, hp,
      config.boolean("use_sliding_window", false) && config.integer("max_window_layers", 0, 1 << 30, 28) < hp.layers);
  return hp;
}

constexpr HuggingFaceType kTypes[] = {{"qwen2", read_qwen2_config}};

constexpr Preset kPresets[] = {
    {"qwen2.5-0.5b", "Qwen2.5-0.5B", "qwen2", R"({
       "model_type": "qwen2", "num_hidden_layers": 24, "hidden_size": 896, "intermediate_size": 4864,
       "num_attention_heads": 14, "num_key_value_heads": 2, "vocab_size": 151936, "max_position_embeddings": 32768,
       "rope_theta": 1e6, "tie_word_embeddings": true})"},
    {"qwen2.5-1.5b", "Qwen2.5-1.5B and its Coder", "qwen2", R"({
       "model_type": "qwen2", "num_hidden_layers": 28, "hidden_size": 1536, "intermediate_size": 8960,
       "num_attention_heads": 12, "num_key_value_heads": 2, "vocab_size": 151936, "max_position_embeddings": 32768,
       "rope_theta": 1e6, "tie_word_embeddings": true})"},
    {"qwen2.5-7b", "Qwen2.5-7B", "qwen2", R"({
       "model_type": "qwen2", "num_hidden_layers": 28, "hidden_size": 3584, "intermediate_size": 18944,
       "num_attention_heads": 28, "num_key_value_heads": 4, "vocab_size": 152064, "max_position_embeddings": 32768,
       "rope_theta": 1e6})"},
    {"tiny-qwen2", "a Qwen 2 for tests, stretched by YaRN", "qwen2", R"({
       "model_type": "qwen2", "num_hidden_layers": 3, "hidden_size": 256, "intermediate_size": 512,
       "num_attention_heads": 8, "num_key_value_heads": 2, "vocab_size": 320, "max_position_embeddings": 4096,
       "rope_theta": 1e4, "rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64},
       "tie_word_embeddings": true})"},
};

}  // namespace

extern const ArchitectureRow kQwen2;
constinit const ArchitectureRow kQwen2 = {
    .name = "qwen2",
    .pre_tokenizer = "qwen2",
    .hugging_face = kTypes,
    .tensors = {.model = kModelTensors, .layer = kLayerTensors},
    .presets = kPresets,
    .read = read_transformer,
    .write = write_transformer,
    .make = make_transformer<RopePairs::kHalves>,
};

}  // namespace fieldprint
