// Granite 3 (IBM 2024), dense (`granite`) and mixture of experts (`granitemoe`): a llama whose embeddings, residuals,
// attention scores and logits are scaled by numbers of the file. Beside the experts there may be one that sees every
// token.
#include <fmt/format.h>

#include "models/tensor_rows.h"
#include "models/transformer.h"

namespace fieldprint {
namespace {

constexpr auto kModelTensors = join_rows(kModelRows, kRopeRows);
constexpr auto kAttentionRows =
    join_rows(kAttnNormRows, kQkvRows<There::kHalves>, kAttnOutputRows, kAttentionKindRows, kFfnNormRows);
constexpr auto kDenseLayerTensors = join_rows(kAttentionRows, kDenseRows);

constexpr std::string_view kExpertsThere = "block_sparse_moe.input_linear.weight",
                           kSharedThere = "shared_mlp.input_linear.weight";
constexpr auto kExpertRows = std::to_array<TensorRow>({
    {"ffn_gate_inp.weight", "block_sparse_moe.router.layer.weight", kMixture, {kExperts, kWidth}},
    {"ffn_gate_exps.weight", kExpertsThere, kGateAndUp, {kExperts, kExpertFfn, kWidth}, There::kFirstHalf},
    {"ffn_up_exps.weight", kExpertsThere, kGateAndUp, {kExperts, kExpertFfn, kWidth}, There::kSecondHalf},
    {"ffn_gate_up_exps.weight", "", kFusedGateUp, {kExperts, kTwoExpertFfns, kWidth}},
    {"ffn_down_exps.weight",
     "block_sparse_moe.output_linear.weight",
     kMixture,
     {kExperts, kWidth, kExpertFfn},
     There::kSame,
     Draw::kDown},
    {"ffn_gate_shexp.weight", kSharedThere, kSharedExpert, {kSharedFfn, kWidth}, There::kFirstHalf},
    {"ffn_up_shexp.weight", kSharedThere, kSharedExpert, {kSharedFfn, kWidth}, There::kSecondHalf},
    {"ffn_down_shexp.weight",
     "shared_mlp.output_linear.weight",
     kSharedExpert,
     {kWidth, kSharedFfn},
     There::kSame,
     Draw::kDown},
});
constexpr auto kMoeLayerTensors = join_rows(kAttentionRows, kExpertRows);

Hyperparameters read_dense_config(const Config& config) {
  Hyperparameters hp = read_common(
      config,
      {.eps_key = "rms_norm_eps", .eps = 1e-6, .rope_base = 10000, .context = 2048, .kv_heads = 0, .tied = false});
  const auto scale = [&](const char* key) {
    const double value = config.number(key, 1);
    if (!(value > 0 && value < 1e6)) config.refuse(fmt::format("{} should be positive", key));
    return static_cast<float>(value);
  };
  hp.embedding_scale = scale("embedding_multiplier");
  hp.residual_scale = scale("residual_multiplier");
  hp.attention_scale = scale("attention_multiplier");
  hp.logit_scale = scale("logits_scaling");
  return hp;
}

Hyperparameters read_moe_config(const Config& config) {
  Hyperparameters hp = read_dense_config(config);
  const auto experts = static_cast<int>(config.integer("num_local_experts", 1, 1 << 12, 8));
  set_experts(hp, experts, static_cast<int>(config.integer("num_experts_per_tok", 1, experts, 2)), hp.plan[0].ffn);
  hp.shared_ffn = static_cast<int>(config.integer("shared_intermediate_size", 0, 1 << 22, 0));
  return hp;
}

constexpr HuggingFaceType kDenseTypes[] = {{"granite", read_dense_config}};
constexpr HuggingFaceType kMoeTypes[] = {{"granitemoe", read_moe_config}, {"granitemoeshared", read_moe_config}};

constexpr Preset kDensePresets[] = {
    {"granite-3.1-2b", "Granite-3.1-2B", "refact", R"({
       "model_type": "granite", "num_hidden_layers": 40, "hidden_size": 2048, "intermediate_size": 8192,
       "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 49155, "max_position_embeddings": 131072,
       "rms_norm_eps": 1e-5, "rope_theta": 5e6, "embedding_multiplier": 12.0, "residual_multiplier": 0.22,
       "attention_multiplier": 0.015625, "logits_scaling": 8.0, "tie_word_embeddings": true})"},
    {"tiny-granite", "a Granite for tests", "refact", R"({
       "model_type": "granite", "num_hidden_layers": 3, "hidden_size": 256, "intermediate_size": 512,
       "num_attention_heads": 8, "num_key_value_heads": 2, "vocab_size": 320, "max_position_embeddings": 4096,
       "embedding_multiplier": 2.0, "residual_multiplier": 0.75, "attention_multiplier": 0.125, "logits_scaling": 0.5,
       "tie_word_embeddings": true})"},
};

constexpr Preset kMoePresets[] = {
    {"granite-3.1-3b-a800m", "Granite-3.1-3B-A800M", "refact", R"({
       "model_type": "granitemoe", "num_hidden_layers": 32, "hidden_size": 1536, "intermediate_size": 512,
       "num_attention_heads": 24, "num_key_value_heads": 8, "num_local_experts": 40, "num_experts_per_tok": 8,
       "vocab_size": 49155, "max_position_embeddings": 131072, "rms_norm_eps": 1e-6, "rope_theta": 1e7,
       "embedding_multiplier": 12.0, "residual_multiplier": 0.22, "attention_multiplier": 0.015625,
       "logits_scaling": 6.0, "tie_word_embeddings": true})"},
    {"tiny-granitemoe", "a Granite with experts for tests", "refact", R"({
       "model_type": "granitemoeshared", "num_hidden_layers": 3, "hidden_size": 256, "intermediate_size": 256,
       "num_attention_heads": 8, "num_key_value_heads": 2, "num_local_experts": 6, "num_experts_per_tok": 2,
       "shared_intermediate_size": 512, "vocab_size": 320, "max_position_embeddings": 4096,
       "embedding_multiplier": 2.0, "residual_multiplier": 0.75, "attention_multiplier": 0.125, "logits_scaling": 0.5,
       "tie_word_embeddings": true})"},
};

}  // namespace

extern const ArchitectureRow kGranite, kGraniteMoe;
constinit const ArchitectureRow kGranite = {
    .name = "granite",
    .pre_tokenizer = "refact",
    .hugging_face = kDenseTypes,
    .tensors = {.model = kModelTensors, .layer = kDenseLayerTensors},
    .presets = kDensePresets,
    .read = read_transformer,
    .write = write_transformer,
    .make = make_transformer<RopePairs::kAdjacent>,
};
constinit const ArchitectureRow kGraniteMoe = {
    .name = "granitemoe",
    .pre_tokenizer = "refact",
    .hugging_face = kMoeTypes,
    .tensors = {.model = kModelTensors, .layer = kMoeLayerTensors},
    .presets = kMoePresets,
    .read = read_transformer,
    .write = write_transformer,
    .make = make_transformer<RopePairs::kAdjacent>,
};

}  // namespace fieldprint
