// gpt-oss (OpenAI 2025): every layer has experts with biases and a clamped SwiGLU, every other layer a sliding window;
// each head's softmax has a sink, a logit that takes its share and gives nothing. RoPE is stretched by YaRN.
//   x += attention(rms(x; attn_norm));  x += experts(rms(x; post_attention_norm))
//   logits = Wout rms(x; output_norm)
#include <fmt/format.h>

#include "models/tensor_rows.h"
#include "models/transformer.h"
#include "models/windows.h"

namespace fieldprint {
namespace {

constexpr auto kModelTensors = join_rows(kModelRows, kRopeRows);

constexpr auto kOwnAttentionRows = std::to_array<TensorRow>({
    {"attn_output.bias", "self_attn.o_proj.bias", kAttends, {kWidth}, There::kSame, Draw::kBias},
    {"attn_sinks.weight", "self_attn.sinks", kAttends, {kHeads}, There::kSame, Draw::kUnit},
    {"post_attention_norm.weight", "post_attention_layernorm.weight", kAlways, {kWidth}, There::kSame, Draw::kNorm},
});

// On Hugging Face experts are packed in a way of their own, blocks and scales of MXFP4: only GGUF files are read.
constexpr auto kExpertRows = std::to_array<TensorRow>({
    {"ffn_gate_inp.weight", "mlp.router.weight", kMixture, {kExperts, kWidth}},
    {"ffn_gate_inp.bias", "mlp.router.bias", kMixture, {kExperts}, There::kSame, Draw::kBias},
    {"ffn_gate_exps.weight", "", kMixture, {kExperts, kExpertFfn, kWidth}},
    {"ffn_gate_exps.bias", "", kMixture, {kExperts, kExpertFfn}, There::kSame, Draw::kBias},
    {"ffn_up_exps.weight", "", kMixture, {kExperts, kExpertFfn, kWidth}},
    {"ffn_up_exps.bias", "", kMixture, {kExperts, kExpertFfn}, There::kSame, Draw::kBias},
    {"ffn_down_exps.weight", "", kMixture, {kExperts, kWidth, kExpertFfn}, There::kSame, Draw::kDown},
    {"ffn_down_exps.bias", "", kMixture, {kExperts, kWidth}, There::kSame, Draw::kBias},
});

constexpr auto kLayerTensors = join_rows(kAttnNormRows, kQkvRows<There::kSame>, kQkvBiasRows, kAttnOutputRows,
                                         kAttentionKindRows, kOwnAttentionRows, kExpertRows);

constexpr int kPeriod = 2;  // of two layers the first has a window

Hyperparameters read(const Metadata& metadata) {
  Hyperparameters hp = read_transformer(metadata);
  if (hp.experts == 0) metadata.refuse(fmt::format("{} is missing", metadata.name("expert_count")));
  if (hp.gating == Gating::kSigmoid)
    metadata.unsupported("a gpt-oss whose experts are scored by sigmoid is not supported");
  hp.gating = Gating::kSoftmaxChosen;  // the same as a softmax over all experts, normalised
  hp.glu = Glu::kClampedSilu;
  read_windows(metadata, hp, 128, kPeriod);
  return hp;
}

void write(const MetadataWriter& out, const Hyperparameters& hp) {
  write_transformer(out, hp);
  write_windows(out, hp, kPeriod);
}

Hyperparameters read_gpt_oss_config(const Config& config) {
  Hyperparameters hp = read_common(config, {.eps_key = "rms_norm_eps",
                                            .eps = 1e-5,
                                            .rope_base = 150000,
                                            .context = 131072,
                                            .kv_heads = 8,
                                            .tied = false,
                                            .head_dim = 64,
                                            .ffn = 2880,
                                            .layers = 36,
                                            .width = 2880,
                                            .heads = 64,
                                            .vocabulary = 201088});
  if (!config.has("rope_scaling") && !config.has("rope_parameters")) {
    hp.rope.scaling = RopeScaling::kYarn;
    hp.rope.factor = 32;
    hp.rope.original_context = 4096;
  }
  if (config.number("swiglu_limit", 7) != 7) config.unsupported("a swiglu_limit other than 7 is not supported");
  const auto experts = static_cast<int>(config.integer("num_local_experts", 1, 1 << 12, 128));
  set_experts(hp, experts, static_cast<int>(config.integer("num_experts_per_tok", 1, experts, 4)), hp.plan[0].ffn);
  hp.gating = Gating::kSoftmaxChosen;
  hp.glu = Glu::kClampedSilu;
  read_windows(config, hp, 128, kPeriod);
  return hp;
}

constexpr HuggingFaceType kTypes[] = {{"gpt_oss", read_gpt_oss_config}};

constexpr Preset kPresets[] = {
    {"gpt-oss-20b", "gpt-oss 20B: 21 B weights, 3.6 B of them active", "gpt-4o", R"({
       "model_type": "gpt_oss", "num_hidden_layers": 24, "num_local_experts": 32})"},
    {"tiny-gpt-oss", "a gpt-oss for tests", "smollm", R"({
       "model_type": "gpt_oss", "num_hidden_layers": 4, "hidden_size": 128, "intermediate_size": 64,
       "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 32, "num_local_experts": 6,
       "num_experts_per_tok": 2, "sliding_window": 24, "vocab_size": 320, "max_position_embeddings": 4096,
       "rope_scaling": {"rope_type": "yarn", "factor": 4, "beta_fast": 32, "beta_slow": 1,
                        "original_max_position_embeddings": 1024}})"},
};

}  // namespace

extern const ArchitectureRow kGptOss;
constinit const ArchitectureRow kGptOss = {
    .name = "gpt-oss",
    .pre_tokenizer = "gpt-4o",
    .hugging_face = kTypes,
    .tensors = {.model = kModelTensors, .layer = kLayerTensors},
    .presets = kPresets,
    .read = read,
    .write = write,
    .make = make_transformer<RopePairs::kHalves>,
};

}  // namespace fieldprint
