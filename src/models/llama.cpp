// llama (Touvron et al. 2023): pre-norm blocks of grouped-query attention with RoPE on adjacent pairs, and SwiGLU; or
// several SwiGLU experts, chosen by softmax (Mixtral, Jiang et al. 2024).
#include "models/tensor_rows.h"
#include "models/transformer.h"

namespace fieldprint {
namespace {

constexpr auto kModelTensors = join_rows(kModelRows, kRopeRows);

constexpr auto kLayerTensors =
    join_rows(kAttnNormRows, kQkvRows<There::kHalves>, kAttnOutputRows, kAttentionKindRows, kFfnNormRows, kDenseRows,
              expert_rows("block_sparse_moe.gate.weight", "block_sparse_moe.experts.<>.w1.weight",
                          "block_sparse_moe.experts.<>.w3.weight", "block_sparse_moe.experts.<>.w2.weight"));

Hyperparameters read_llama_config(const Config& config) {
  return read_common(
      config,
      {.eps_key = "rms_norm_eps", .eps = 1e-6, .rope_base = 10000, .context = 2048, .kv_heads = 0, .tied = false});
}

Hyperparameters read_mixtral_config(const Config& config) {
  Hyperparameters hp = read_common(
      config,
      {.eps_key = "rms_norm_eps", .eps = 1e-5, .rope_base = 1e6, .context = 131072, .kv_heads = 8, .tied = false});
  refuse_window(config, hp, config.has("sliding_window"));
  const auto experts = static_cast<int>(config.integer("num_local_experts", 1, 1 << 12, 8));
  set_experts(hp, experts, static_cast<int>(config.integer("num_experts_per_tok", 1, experts, 2)), hp.plan[0].ffn);
  return hp;
}

constexpr HuggingFaceType kTypes[] = {{"llama", read_llama_config}, {"mixtral", read_mixtral_config}};

constexpr Preset kPresets[] = {
    {"smollm2-135m", "SmolLM2-135M", "smollm", R"({
       "model_type": "llama", "num_hidden_layers": 30, "hidden_size": 576, "intermediate_size": 1536,
       "num_attention_heads": 9, "num_key_value_heads": 3, "vocab_size": 49152, "max_position_embeddings": 8192,
       "rms_norm_eps": 1e-5, "rope_theta": 1e5, "tie_word_embeddings": true})"},
    {"attn-llama", "the same 6 attention layers as attn-lfm2 and nothing else, as a llama", "smollm", R"({
       "model_type": "llama", "num_hidden_layers": 6, "hidden_size": 2048, "intermediate_size": 256,
       "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 1024, "max_position_embeddings": 128000,
       "rms_norm_eps": 1e-5, "rope_theta": 1e6, "tie_word_embeddings": true})"},
    {"tiny-llama", "a llama for tests", "smollm", R"({
       "model_type": "llama", "num_hidden_layers": 3, "hidden_size": 256, "intermediate_size": 512,
       "num_attention_heads": 8, "num_key_value_heads": 2, "vocab_size": 320, "max_position_embeddings": 4096,
       "rms_norm_eps": 1e-5, "rope_theta": 1e4, "tie_word_embeddings": true})"},
    {"tiny-mixtral", "a llama with experts for tests", "smollm", R"({
       "model_type": "mixtral", "num_hidden_layers": 3, "hidden_size": 256, "intermediate_size": 256,
       "num_attention_heads": 8, "num_key_value_heads": 2, "num_local_experts": 4, "num_experts_per_tok": 2,
       "vocab_size": 320, "max_position_embeddings": 4096, "tie_word_embeddings": true})"},
};

}  // namespace

extern const ArchitectureRow kLlama;
constinit const ArchitectureRow kLlama = {
    .name = "llama",
    .pre_tokenizer = "",
    .hugging_face = kTypes,
    .tensors = {.model = kModelTensors, .layer = kLayerTensors},
    .presets = kPresets,
    .read = read_transformer,
    .write = write_transformer,
    .make = make_transformer<RopePairs::kAdjacent>,
};

}  // namespace fieldprint
