// SmolLM3 (Hugging Face 2025): a llama in which every fourth layer has no RoPE.
#include <fmt/format.h>

#include "models/tensor_rows.h"
#include "models/transformer.h"

namespace fieldprint {
namespace {

constexpr auto kModelTensors = join_rows(kModelRows, kRopeRows);
constexpr auto kLayerTensors =
    join_rows(kAttnNormRows, kQkvRows<There::kHalves>, kAttnOutputRows, kAttentionKindRows, kFfnNormRows, kDenseRows);

constexpr int kInterval = 4;  // no key of the file says so

Hyperparameters with_layers(Hyperparameters hp) {
  for (size_t i = 0; i < hp.plan.size(); ++i) hp.plan[i].rope = (i + 1) % kInterval != 0;
  return hp;
}

Hyperparameters read(const Metadata& metadata) { return with_layers(read_transformer(metadata)); }

Hyperparameters read_smollm3_config(const Config& config) {
  Hyperparameters hp = with_layers(read_common(
      config,
      {.eps_key = "rms_norm_eps", .eps = 1e-6, .rope_base = 2e6, .context = 32768, .kv_heads = 4, .tied = true}));
  refuse_window(config, hp, config.boolean("use_sliding_window", false) && config.has("sliding_window"));
  const auto listed = config.integers("no_rope_layers");  // 1: the layer has RoPE
  const int64_t interval = config.integer("no_rope_layer_interval", 1, 1 << 20, kInterval);
  for (size_t i = 0; i < hp.plan.size(); ++i) {
    const bool has =
        listed.empty() ? (static_cast<int64_t>(i) + 1) % interval != 0 : i < listed.size() && listed[i] != 0;
    if (has != hp.plan[i].rope)
      config.unsupported(fmt::format("other layers without RoPE than every {}th are not supported", kInterval));
  }
  return hp;
}

constexpr HuggingFaceType kTypes[] = {{"smollm3", read_smollm3_config}};

constexpr Preset kPresets[] = {
    {"smollm3-3b", "SmolLM3-3B", "smaug-bpe", R"({
       "model_type": "smollm3", "num_hidden_layers": 36, "hidden_size": 2048, "intermediate_size": 11008,
       "num_attention_heads": 16, "num_key_value_heads": 4, "vocab_size": 128256, "max_position_embeddings": 65536,
       "rope_theta": 5e6})"},
    {"tiny-smollm3", "a SmolLM3 for tests", "smaug-bpe", R"({
       "model_type": "smollm3", "num_hidden_layers": 5, "hidden_size": 256, "intermediate_size": 512,
       "num_attention_heads": 8, "num_key_value_heads": 2, "vocab_size": 320, "max_position_embeddings": 4096,
       "rope_theta": 5e6})"},
};

}  // namespace

extern const ArchitectureRow kSmolLm3;
constinit const ArchitectureRow kSmolLm3 = {
    .name = "smollm3",
    .pre_tokenizer = "smaug-bpe",
    .hugging_face = kTypes,
    .tensors = {.model = kModelTensors, .layer = kLayerTensors},
    .presets = kPresets,
    .read = read,
    .write = write_transformer,
    .make = make_transformer<RopePairs::kAdjacent>,
};

}  // namespace fieldprint
