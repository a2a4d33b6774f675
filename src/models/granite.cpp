// Granite 3 (IBM 2024), dense (`granite`) and mixture of experts (`granitemoe`): a llama whose embeddings, residuals,
// attention scores and logits are scaled by numbers of the file. Beside the experts there may be one that sees every
// token. Granite 4 (IBM 2025; `granitehybrid`), of both sorts: layers without K/V heads are Mamba2
// (models/linear_attention.h), and RoPE may be left away.
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

// ---- granitehybrid
constexpr auto kMambaRows = std::to_array<TensorRow>({
    {"ssm_in.weight", "mamba.in_proj.weight", kMambas, {kMambaInputs, kWidth}},
    {"ssm_conv1d.weight", "mamba.conv1d.weight", kMambas, {kConvChannels, kTaps}, There::kKernel},
    {"ssm_conv1d.bias", "mamba.conv1d.bias", kMambas, {kConvChannels}, There::kSame, Draw::kBias},
    {"ssm_dt.bias", "mamba.dt_bias", kMambas, {kLinearHeads}, There::kSame, Draw::kBias},
    {"ssm_a", "mamba.A_log", kMambas, {kLinearHeads, kOne}, There::kLogarithm, Draw::kDecay},
    {"ssm_d", "mamba.D", kMambas, {kLinearHeads, kOne}, There::kVector, Draw::kNorm},
    {"ssm_norm.weight", "mamba.norm.weight", kMambas, {kLinearGroups, kGroupValues}, There::kVector, Draw::kNorm},
    {"ssm_out.weight", "mamba.out_proj.weight", kMambas, {kWidth, kLinearValues}, There::kSame, Draw::kResidual},
});
constexpr auto kHybridDenseRows = std::to_array<TensorRow>({
    {"ffn_gate.weight", kSharedThere, kDense, {kFfn, kWidth}, There::kFirstHalf},
    {"ffn_up.weight", kSharedThere, kDense, {kFfn, kWidth}, There::kSecondHalf},
    {"ffn_down.weight", "shared_mlp.output_linear.weight", kDense, {kWidth, kFfn}, There::kSame, Draw::kDown},
});
constexpr auto kHybridLayerTensors = join_rows(kAttentionRows, kMambaRows, kHybridDenseRows, kExpertRows);

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

void set_mamba(LayerPlan& layer) {
  layer.mixer = Mixer::kMamba2;
  layer.kv_heads = layer.anchors = 0;
  layer.attention = nullptr;
}

Hyperparameters read_hybrid(const Metadata& metadata) {
  Hyperparameters hp = read_common(metadata);
  read_linear_attention(metadata, hp);
  const bool rope = metadata.boolean("rope.scaling.finetuned", true);
  for (LayerPlan& layer : hp.plan) {
    layer.rope = rope;
    if (layer.kv_heads == 0) set_mamba(layer);
  }
  if (hp.experts > 0 && hp.gating == Gating::kNone) hp.gating = Gating::kSoftmax;
  return hp;
}

void write_hybrid(const MetadataWriter& out, const Hyperparameters& hp) {
  write_transformer(out, hp);
  write_linear_attention(out, hp);
  out.set_flag("rope.scaling.finetuned", hp.plan[0].rope);
}

Hyperparameters read_hybrid_config(const Config& config) {
  Hyperparameters hp = read_dense_config(config);
  const auto integer = [&](const char* key, int64_t least, int64_t most, int64_t fallback) {
    return static_cast<int>(config.integer(key, least, most, fallback));
  };
  const int experts = integer("num_local_experts", 0, 1 << 12, 8), ffn = hp.plan[0].ffn,
            shared = integer("shared_intermediate_size", 1, 1 << 22, 1024);
  if (experts > 0) {
    set_experts(hp, experts, integer("num_experts_per_tok", 1, experts, 2), ffn);
    hp.shared_ffn = shared;
  } else {  // what is shared is all that there is
    for (LayerPlan& layer : hp.plan) layer.ffn = shared;
  }
  hp.conv_taps = integer("mamba_d_conv", 1, 64, 4);
  hp.linear_keys = integer("mamba_d_state", 4, 1 << 10, 256);
  hp.linear_groups = integer("mamba_n_groups", 1, 1 << 12, 1);
  hp.linear_heads = integer("mamba_n_heads", 1, 1 << 12, 128);
  const int inner = integer("mamba_expand", 1, 64, 2) * hp.width;
  hp.linear_columns = inner / hp.linear_heads;
  if (inner % hp.linear_heads != 0 || hp.linear_heads % hp.linear_groups != 0 || hp.linear_keys % 4 != 0)
    config.refuse(fmt::format("{} heads of Mamba2 cannot share {} values and {} groups", hp.linear_heads, inner,
                              hp.linear_groups));
  if (!config.boolean("mamba_conv_bias", true) || config.boolean("mamba_proj_bias", false))
    config.unsupported("Mamba2 is supported with a bias of the convolution and no other");
  const char* key = config.has("layer_types") ? "layer_types" : "layers_block_type";
  std::vector<std::string> types = config.strings(key);
  if (types.empty()) types.assign(hp.plan.size(), "mamba");
  if (types.size() != hp.plan.size()) config.refuse(fmt::format("{} should name every layer's type", key));
  const bool rope = config.string("position_embedding_type", "") == "rope";
  for (size_t i = 0; i < types.size(); ++i) {
    hp.plan[i].rope = rope;
    if (types[i] == "mamba" || types[i] == "linear_attention") {
      set_mamba(hp.plan[i]);
    } else if (types[i] != "attention" && types[i] != "full_attention") {
      config.unsupported(fmt::format("layer {} is of type '{}'; mamba and attention are supported", i, types[i]));
    }
  }
  return hp;
}

constexpr HuggingFaceType kHybridTypes[] = {{"granitemoehybrid", read_hybrid_config}};

constexpr Preset kHybridPresets[] = {
    {"tiny-granitehybrid", "a Granite 4 for tests", "dbrx", R"({
       "model_type": "granitemoehybrid", "num_hidden_layers": 4, "hidden_size": 256, "intermediate_size": 256,
       "num_attention_heads": 8, "num_key_value_heads": 2, "num_local_experts": 6, "num_experts_per_tok": 2,
       "shared_intermediate_size": 512, "layer_types": ["mamba", "attention", "mamba", "mamba"],
       "mamba_n_heads": 16, "mamba_n_groups": 2, "mamba_d_state": 32, "vocab_size": 320,
       "max_position_embeddings": 4096, "embedding_multiplier": 2.0, "residual_multiplier": 0.75,
       "attention_multiplier": 0.125, "logits_scaling": 0.5, "tie_word_embeddings": true})"},
};

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

extern const ArchitectureRow kGranite, kGraniteMoe, kGraniteHybrid;
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
constinit const ArchitectureRow kGraniteHybrid = {
    .name = "granitehybrid",
    .pre_tokenizer = "dbrx",
    .hugging_face = kHybridTypes,
    .tensors = {.model = kModelTensors, .layer = kHybridLayerTensors},
    .presets = kHybridPresets,
    .read = read_hybrid,
    .write = write_hybrid,
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
