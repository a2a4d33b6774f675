// Qwen 3.5 and 3.6, dense (`qwen35`) and mixture of experts (`qwen35moe`): gated delta nets, and every few layers full
// attention (models/transformer.h, models/linear_attention.h). Of attention, each head of Wq h is a query and a gate:
// Wo (attention * sigmoid(gate)). Queries and keys are RMS-normed per head, and RoPE turns a part of the head, in
// halves. Experts are chosen by softmax; a shared one is weighted by a sigmoid. RoPE of three sections (time, height,
// width) is plain RoPE for text, whose position is the same in all three. Blocks behind the last layer predict further
// tokens (MTP); they are not used.
#include <fmt/format.h>

#include <algorithm>

#include "models/tensor_rows.h"
#include "models/transformer.h"

namespace fieldprint {
namespace {

constexpr auto kModelTensors = norms_minus_one(join_rows(kModelRows, kRopeRows));

constexpr auto kDeltaNetRows = std::to_array<TensorRow>({
    reordered(Heads::kRows, {"attn_qkv.weight", "linear_attn.in_proj_qkv.weight", kDeltaNets, {kConvChannels, kWidth}}),
    reordered(Heads::kRows, {"attn_gate.weight", "linear_attn.in_proj_z.weight", kDeltaNets, {kLinearValues, kWidth}}),
    reordered(Heads::kRows,
              {"ssm_conv1d.weight", "linear_attn.conv1d.weight", kDeltaNets, {kConvChannels, kTaps}, There::kKernel}),
    reordered(Heads::kRows,
              {"ssm_dt.bias", "linear_attn.dt_bias", kDeltaNets, {kLinearHeads}, There::kSame, Draw::kBias}),
    reordered(Heads::kRows,
              {"ssm_a", "linear_attn.A_log", kDeltaNets, {kLinearHeads}, There::kLogarithm, Draw::kDecay}),
    reordered(Heads::kRows, {"ssm_beta.weight", "linear_attn.in_proj_b.weight", kDeltaNets, {kLinearHeads, kWidth}}),
    reordered(Heads::kRows, {"ssm_alpha.weight", "linear_attn.in_proj_a.weight", kDeltaNets, {kLinearHeads, kWidth}}),
    {"ssm_norm.weight", "linear_attn.norm.weight", kDeltaNets, {kLinearColumns}, There::kSame, Draw::kNorm},
    reordered(Heads::kColumns, {"ssm_out.weight",
                                "linear_attn.out_proj.weight",
                                kDeltaNets,
                                {kWidth, kLinearValues},
                                There::kSame,
                                Draw::kResidual}),
});

constexpr auto kFfnNorm = std::to_array<TensorRow>({
    {"post_attention_norm.weight", "post_attention_layernorm.weight", kAlways, {kWidth}, There::kSame, Draw::kNorm},
});

constexpr auto kExpertRows = std::to_array<TensorRow>({
    {"ffn_gate_inp.weight", "mlp.gate.weight", kMixture, {kExperts, kWidth}},
    {"ffn_gate_up_exps.weight", "mlp.experts.gate_up_proj", kFusedGateUp, {kExperts, kTwoExpertFfns, kWidth}},
    {"ffn_gate_exps.weight", "mlp.experts.gate_up_proj", kGateAndUp, {kExperts, kExpertFfn, kWidth}, There::kFirstHalf},
    {"ffn_up_exps.weight", "mlp.experts.gate_up_proj", kGateAndUp, {kExperts, kExpertFfn, kWidth}, There::kSecondHalf},
    {"ffn_down_exps.weight",
     "mlp.experts.down_proj",
     kMixture,
     {kExperts, kWidth, kExpertFfn},
     There::kSame,
     Draw::kDown},
    {"ffn_gate_inp_shexp.weight", "mlp.shared_expert_gate.weight", kSharedExpert, {kWidth}, There::kRow},
    {"ffn_gate_shexp.weight", "mlp.shared_expert.gate_proj.weight", kSharedExpert, {kSharedFfn, kWidth}},
    {"ffn_up_shexp.weight", "mlp.shared_expert.up_proj.weight", kSharedExpert, {kSharedFfn, kWidth}},
    {"ffn_down_shexp.weight",
     "mlp.shared_expert.down_proj.weight",
     kSharedExpert,
     {kWidth, kSharedFfn},
     There::kSame,
     Draw::kDown},
});

constexpr auto kLayerTensors =
    join_rows(norms_minus_one(kAttnNormRows), kDeltaNetRows, kQkvRows<There::kSame>, norms_minus_one(kHeadNormRows),
              kAttnOutputRows, kAttentionKindRows, norms_minus_one(kFfnNorm), kDenseRows, kExpertRows);

// ---- Which layers attend

void set_delta_nets(Hyperparameters& hp, const std::vector<bool>& linear) {
  for (size_t i = 0; i < linear.size(); ++i) {
    if (!linear[i]) continue;
    LayerPlan& layer = hp.plan[i];
    layer.mixer = Mixer::kDeltaNet;
    layer.kv_heads = layer.anchors = 0;
    layer.attention = nullptr;
    layer.fused_qkv = false;
  }
  hp.attention_gate = true;
}

std::vector<bool> all_but_every(int interval, int layers) {
  std::vector<bool> linear;
  for (int i = 0; i < layers; ++i) linear.push_back((i + 1) % interval != 0);
  return linear;
}

Hyperparameters read(const Metadata& metadata) {
  Hyperparameters hp = read_common(metadata);
  read_linear_attention(metadata, hp);
  if (hp.linear_columns != hp.linear_keys)
    metadata.unsupported("a delta net whose keys and values differ in length is not supported");
  std::vector<bool> linear = all_but_every(metadata.integer("full_attention_interval", 1, 1 << 20, 4), hp.layers);
  if (metadata.has("attention.recurrent_layers")) {
    const std::vector<int> recurrent = metadata.integers("attention.recurrent_layers", hp.layers, 0, 1);
    linear.assign(recurrent.begin(), recurrent.end());
  }
  for (size_t i = 0; i < linear.size(); ++i) {
    if (!linear[i] && hp.plan[i].kv_heads == 0)
      metadata.refuse(fmt::format("layer {} attends and has no K/V heads", i));
  }
  set_delta_nets(hp, linear);
  if (metadata.has("rope.dimension_sections"))
    hp.rope.sections = metadata.integers("rope.dimension_sections", 4, 0, 1 << 20);
  if (hp.experts > 0 && hp.gating == Gating::kNone) hp.gating = Gating::kSoftmax;
  return hp;
}

void write(const MetadataWriter& out, const Hyperparameters& hp) {
  write_sizes(out, hp);
  std::vector<bool> linear;
  int interval = 0;
  for (const LayerPlan& layer : hp.plan) {
    linear.push_back(layer.mixer == Mixer::kDeltaNet);
    if (!linear.back()) {
      if (interval == 0) interval = static_cast<int>(linear.size());
      out.set("attention.head_count_kv", layer.kv_heads);  // one number, which the other layers do not look at
    }
  }
  if (interval == 0) interval = hp.layers + 1;
  out.set("full_attention_interval", interval);
  if (linear != all_but_every(interval, hp.layers)) out.set("attention.recurrent_layers", linear);
  out.set("rope.dimension_count", hp.rope.dims);
  if (!hp.rope.sections.empty()) out.set("rope.dimension_sections", hp.rope.sections);
  write_linear_attention(out, hp);
  write_settings(out, hp);
}

// ---- config.json

// The shape that `transformers` takes where nothing is said.
struct DefaultShape {
  int64_t layers, width;
  std::optional<int64_t> ffn;
  int kv_heads;
};

Hyperparameters read_text(const Config& config, const DefaultShape& shape) {
  Hyperparameters hp = read_common(config, {.eps_key = "rms_norm_eps",
                                            .eps = 1e-6,
                                            .rope_base = 10000,
                                            .context = 32768,
                                            .kv_heads = shape.kv_heads,
                                            .tied = false,
                                            .head_dim = 256,
                                            .rotary_part = 0.25,
                                            .ffn = shape.ffn,
                                            .layers = shape.layers,
                                            .width = shape.width,
                                            .heads = 16,
                                            .vocabulary = 248320});
  if (config.boolean("attention_bias", false)) config.unsupported("attention with biases is not supported");
  if (!config.boolean("attn_output_gate", true)) config.unsupported("attention without a gate is not supported");
  const auto integer = [&](const char* key, int64_t most, int64_t fallback) {
    return static_cast<int>(config.integer(key, 1, most, fallback));
  };
  hp.conv_taps = integer("linear_conv_kernel_dim", 64, 4);
  hp.linear_keys = integer("linear_key_head_dim", 1 << 10, 128);
  hp.linear_columns = integer("linear_value_head_dim", 1 << 12, 128);
  hp.linear_groups = integer("linear_num_key_heads", 1 << 12, 16);
  hp.linear_heads = integer("linear_num_value_heads", 1 << 12, 32);
  if (hp.linear_columns != hp.linear_keys || hp.linear_keys % 4 != 0 || hp.linear_heads % hp.linear_groups != 0)
    config.unsupported(fmt::format("a delta net of {} keys of {} and {} values of {} is not supported",
                                   hp.linear_groups, hp.linear_keys, hp.linear_heads, hp.linear_columns));
  std::vector<bool> linear = all_but_every(integer("full_attention_interval", 1 << 20, 4), hp.layers);
  if (config.has("layer_types")) {
    const auto types = config.strings("layer_types");
    if (types.size() != linear.size()) config.refuse("layer_types should name every layer's type");
    for (size_t i = 0; i < types.size(); ++i) {
      linear[i] = types[i] == "linear_attention";
      if (!linear[i] && types[i] != "full_attention") {
        config.unsupported(
            fmt::format("layer {} is of type '{}'; full_attention and linear_attention are supported", i, types[i]));
      }
    }
  }
  set_delta_nets(hp, linear);
  hp.rope.sections = {11, 11, 10, 0};
  for (const char* place : {"rope_parameters/mrope_section", "rope_scaling/mrope_section"}) {
    if (!config.has(place)) continue;
    const auto sections = config.integers(place);
    if (sections.size() != 3 ||
        std::any_of(sections.begin(), sections.end(), [](int64_t n) { return n < 0 || n > 4096; }))
      config.refuse(fmt::format("{} should hold three lengths", place));
    std::copy(sections.begin(), sections.end(), hp.rope.sections.begin());
  }
  return hp;
}

Hyperparameters read_dense(const Config& config) { return read_text(config, {32, 4096, 12288, 4}); }

Hyperparameters read_moe(const Config& config) {
  Hyperparameters hp = read_text(config, {40, 2048, 0, 2});
  if (!config.integers("mlp_only_layers").empty()) config.unsupported("layers without experts are not supported");
  hp.experts = static_cast<int>(config.integer("num_experts", 1, 1 << 12, 256));
  hp.experts_used = static_cast<int>(config.integer("num_experts_per_tok", 1, hp.experts, 8));
  hp.expert_ffn = static_cast<int>(config.integer("moe_intermediate_size", 1, 1 << 22, 512));
  hp.shared_ffn = static_cast<int>(config.integer("shared_expert_intermediate_size", 1, 1 << 22, 512));
  hp.dense_layers = 0;
  hp.gating = Gating::kSoftmax;
  for (LayerPlan& layer : hp.plan) layer.experts = true, layer.ffn = 0;
  return hp;
}

// The whole model sees pictures too; its text model stands in text_config.
template <Hyperparameters (*kRead)(const Config&)>
Hyperparameters read_inner(const Config& config) {
  const InnerConfig text(config, "text_config");
  Hyperparameters hp = kRead(text);
  hp.tied = text.boolean("tie_word_embeddings", config.boolean("tie_word_embeddings", false));
  return hp;
}

// What is no part of the text model: pictures, prediction of further tokens.
constexpr std::string_view kLeftOut[] = {"model.visual.", "mtp."};
constexpr HuggingFaceType kDenseTypes[] = {{"qwen3_5", read_inner<read_dense>, "model.language_model.", kLeftOut},
                                           {"qwen3_5_text", read_dense, "model.", kLeftOut}};
constexpr HuggingFaceType kMoeTypes[] = {{"qwen3_5_moe", read_inner<read_moe>, "model.language_model.", kLeftOut},
                                         {"qwen3_5_moe_text", read_moe, "model.", kLeftOut}};

constexpr Preset kDensePresets[] = {
    {"qwen3.5-0.8b", "Qwen3.5-0.8B, its text model", "qwen35", R"({
       "model_type": "qwen3_5_text", "num_hidden_layers": 24, "hidden_size": 1024, "intermediate_size": 3584,
       "num_attention_heads": 8, "num_key_value_heads": 2, "linear_num_value_heads": 16, "vocab_size": 248320,
       "max_position_embeddings": 262144, "rope_parameters": {"rope_theta": 1e7}, "tie_word_embeddings": true})"},
    {"qwen3.5-4b", "Qwen3.5-4B, its text model", "qwen35", R"({
       "model_type": "qwen3_5_text", "num_hidden_layers": 32, "hidden_size": 2560, "intermediate_size": 9216,
       "num_attention_heads": 16, "num_key_value_heads": 4, "linear_num_value_heads": 32, "vocab_size": 248320,
       "max_position_embeddings": 262144, "rope_parameters": {"rope_theta": 1e7}, "tie_word_embeddings": true})"},
    {"tiny-qwen35", "a Qwen 3.5 for tests", "qwen35", R"({
       "model_type": "qwen3_5_text", "num_hidden_layers": 5, "hidden_size": 256, "intermediate_size": 512,
       "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 64, "linear_key_head_dim": 64,
       "linear_value_head_dim": 64, "linear_num_key_heads": 2, "linear_num_value_heads": 4, "vocab_size": 320,
       "layer_types": ["linear_attention", "full_attention", "linear_attention", "linear_attention", "full_attention"],
       "max_position_embeddings": 4096,
       "rope_parameters": {"rope_theta": 1e6, "mrope_section": [3, 3, 2]}, "tie_word_embeddings": true})"},
};

constexpr Preset kMoePresets[] = {
    {"qwen35moe-35b-a3b", "Qwen3.5-35B-A3B and Qwen3.6-35B-A3B, the text model: 34.7 B weights, 3 B of them active",
     "qwen35", R"({
       "model_type": "qwen3_5_moe_text", "num_hidden_layers": 40, "hidden_size": 2048, "num_attention_heads": 16,
       "num_key_value_heads": 2, "linear_num_value_heads": 32, "num_experts": 256, "num_experts_per_tok": 8,
       "moe_intermediate_size": 512, "shared_expert_intermediate_size": 512, "vocab_size": 248320,
       "max_position_embeddings": 262144, "rope_parameters": {"rope_theta": 1e7}, "tie_word_embeddings": false})"},
    {"tiny-qwen35moe", "a Qwen 3.5 with experts for tests", "qwen35", R"({
       "model_type": "qwen3_5_moe_text", "num_hidden_layers": 4, "hidden_size": 256, "num_attention_heads": 4,
       "num_key_value_heads": 1, "head_dim": 64, "linear_key_head_dim": 32, "linear_value_head_dim": 32,
       "linear_num_key_heads": 4, "linear_num_value_heads": 8, "num_experts": 6, "num_experts_per_tok": 2,
       "moe_intermediate_size": 256, "shared_expert_intermediate_size": 256, "full_attention_interval": 2,
       "vocab_size": 320, "max_position_embeddings": 4096,
       "rope_parameters": {"rope_theta": 1e6, "mrope_section": [3, 3, 2]}, "tie_word_embeddings": false})"},
};

}  // namespace

extern const ArchitectureRow kQwen35, kQwen35Moe;
constinit const ArchitectureRow kQwen35 = {
    .name = "qwen35",
    .pre_tokenizer = "qwen35",
    .hugging_face = kDenseTypes,
    .tensors = {.model = kModelTensors, .layer = kLayerTensors},
    .presets = kDensePresets,
    .read = read,
    .write = write,
    .make = make_transformer<RopePairs::kHalves>,
};
constinit const ArchitectureRow kQwen35Moe = {
    .name = "qwen35moe",
    .pre_tokenizer = "qwen35",
    .hugging_face = kMoeTypes,
    .tensors = {.model = kModelTensors, .layer = kLayerTensors},
    .presets = kMoePresets,
    .read = read,
    .write = write,
    .make = make_transformer<RopePairs::kHalves>,
};

}  // namespace fieldprint
