// Gemma 2 and Gemma 3 (Google 2024, 2025), text: some layers see a sliding window only, what a layer adds is normed,
// the feed-forward part is gated by GELU.
//   x = sqrt(width) * embedding[token]
//   x += rms(attention(rms(x; attn_norm)); post_attention_norm)
//   x += rms(Wdown (gelu(Wgate h) * Wup h); post_ffw_norm), h = rms(x; ffn_norm)
//   logits = Wout rms(x; output_norm)
// gemma2: every other layer has a window; attention scores and logits are soft-capped.
// gemma3: five of six layers have a window, and a RoPE of their own; queries and keys are RMS-normed per head.
// On Hugging Face norms hold what is added to 1.
#include <cmath>

#include "models/tensor_rows.h"
#include "models/transformer.h"
#include "models/windows.h"

namespace fieldprint {
namespace {

constexpr auto kModelTensors = norms_minus_one(join_rows(kModelRows, kRopeRows));

constexpr auto kOwnNormRows = std::to_array<TensorRow>({
    {"post_attention_norm.weight", "post_attention_layernorm.weight", kAlways, {kWidth}, There::kSame, Draw::kNorm},
    {"ffn_norm.weight", "pre_feedforward_layernorm.weight", kAlways, {kWidth}, There::kSame, Draw::kNorm},
    {"post_ffw_norm.weight", "post_feedforward_layernorm.weight", kAlways, {kWidth}, There::kSame, Draw::kNorm},
});
constexpr auto kGemma2Tensors = norms_minus_one(
    join_rows(kAttnNormRows, kQkvRows<There::kSame>, kAttnOutputRows, kAttentionKindRows, kOwnNormRows, kDenseRows));
constexpr auto kGemma3Tensors =
    norms_minus_one(join_rows(kAttnNormRows, kQkvRows<There::kSame>, kHeadNormRows, kAttnOutputRows, kAttentionKindRows,
                              kOwnNormRows, kDenseRows));

constexpr int kGemma2Period = 2, kGemma3Period = 6;

// What both have, whatever they were read from.
void set_common(Hyperparameters& hp) {
  hp.embedding_scale = static_cast<float>(std::sqrt(static_cast<double>(hp.width)));
  hp.glu = Glu::kGelu;
}

// The largest model of each kind divides scores by the square root of width / heads, which no key of its files says.
void set_scale(Hyperparameters& hp, int layers_of_largest) {
  if (hp.layers == layers_of_largest && !hp.attention_scale)
    hp.attention_scale = static_cast<float>(1 / std::sqrt(static_cast<double>(hp.width) / hp.heads));
}

Hyperparameters read_gemma2(const Metadata& metadata) {
  Hyperparameters hp = read_transformer(metadata);
  set_common(hp);
  set_scale(hp, 46);
  read_windows(metadata, hp, 4096, kGemma2Period);
  hp.attention_softcap = read_softcap(metadata, "attn_logit_softcapping", 50);
  hp.logit_softcap = read_softcap(metadata, "final_logit_softcapping", 30);
  return hp;
}

Hyperparameters read_gemma3(const Metadata& metadata) {
  Hyperparameters hp = read_transformer(metadata);
  set_common(hp);
  set_scale(hp, 62);
  read_windows(metadata, hp, 0, kGemma3Period);
  hp.attention_softcap = read_softcap(metadata, "attn_logit_softcapping", 0);
  hp.logit_softcap = read_softcap(metadata, "final_logit_softcapping", 0);
  RopeSettings local;
  local.dims = hp.rope.dims;
  local.base = metadata.number("rope.freq_base_swa", 1e-30, 1e30, 10000);
  hp.local_rope = local;
  return hp;
}

void write_both(const MetadataWriter& out, const Hyperparameters& hp, int period) {
  write_transformer(out, hp);
  write_windows(out, hp, period);
  // Without the keys Gemma 2 has them, Gemma 3 has not.
  if (!hp.local_rope || hp.attention_softcap > 0) out.set("attn_logit_softcapping", hp.attention_softcap);
  if (!hp.local_rope || hp.logit_softcap > 0) out.set("final_logit_softcapping", hp.logit_softcap);
  if (hp.local_rope) out.set("rope.freq_base_swa", static_cast<float>(hp.local_rope->base));
}
void write_gemma2(const MetadataWriter& out, const Hyperparameters& hp) { write_both(out, hp, kGemma2Period); }
void write_gemma3(const MetadataWriter& out, const Hyperparameters& hp) { write_both(out, hp, kGemma3Period); }

void read_both(const Config& config, Hyperparameters& hp, double softcap, double logit_softcap, int period) {
  set_common(hp);
  const double of_scale = config.number("query_pre_attn_scalar", 256);
  if (!(of_scale > 0)) config.refuse("query_pre_attn_scalar should be positive");
  if (of_scale != hp.head_dim) hp.attention_scale = static_cast<float>(1 / std::sqrt(of_scale));
  hp.attention_softcap = static_cast<float>(config.number("attn_logit_softcapping", softcap));
  hp.logit_softcap = static_cast<float>(config.number("final_logit_softcapping", logit_softcap));
  if (!(hp.attention_softcap >= 0) || !(hp.logit_softcap >= 0)) config.refuse("a soft-cap should be positive");
  read_windows(config, hp, 4096, period);
}

constexpr ConfigDefaults kDefaults = {.eps_key = "rms_norm_eps",
                                      .eps = 1e-6,
                                      .rope_base = 10000,
                                      .context = 8192,
                                      .kv_heads = 4,
                                      .tied = true,
                                      .head_dim = 256,
                                      .ffn = 9216,
                                      .layers = 26,
                                      .width = 2304,
                                      .heads = 8,
                                      .vocabulary = 256000,
                                      .activation_key = "hidden_activation",
                                      .activation = "gelu_pytorch_tanh"};

Hyperparameters read_gemma2_config(const Config& config) {
  Hyperparameters hp = read_common(config, kDefaults);
  read_both(config, hp, 50, 30, kGemma2Period);
  return hp;
}

Hyperparameters read_gemma3_config(const Config& config) {
  ConfigDefaults defaults = kDefaults;
  defaults.rope_base = 1e6;
  defaults.context = 131072;
  defaults.vocabulary = 262208;
  defaults.rope_object = config.has("rope_parameters/full_attention") ? "rope_parameters/full_attention/" : "";
  Hyperparameters hp = read_common(config, defaults);
  read_both(config, hp, 0, 0, static_cast<int>(config.integer("sliding_window_pattern", 1, 1000, kGemma3Period)));
  if (config.boolean("use_bidirectional_attention", false))
    config.unsupported("a Gemma 3 whose tokens see those that follow is not supported");
  RopeSettings local;
  local.dims = hp.rope.dims;
  local.base =
      config.number("rope_parameters/sliding_attention/rope_theta", config.number("rope_local_base_freq", 10000));
  if (!(local.base > 0)) config.refuse("rope_local_base_freq should be positive");
  hp.local_rope = local;
  return hp;
}

Hyperparameters read_gemma3_with_pictures_config(const Config& config) {
  return read_gemma3_config(InnerConfig(config, "text_config"));
}

constexpr HuggingFaceType kGemma2Types[] = {{"gemma2", read_gemma2_config}};
// With a part that sees pictures, which is left out. Its tensors have had two orders of names.
constexpr std::string_view kPictures[] = {"vision_tower.", "multi_modal_projector.", "model.vision_tower.",
                                          "model.multi_modal_projector."};
constexpr HuggingFaceType kGemma3Types[] = {
    {"gemma3_text", read_gemma3_config},
    {"gemma3", read_gemma3_with_pictures_config, "language_model.model.", kPictures}};

constexpr Preset kGemma2Presets[] = {
    {"gemma2-2b", "Gemma 2 2B", "smollm", R"({
       "model_type": "gemma2", "num_hidden_layers": 26, "hidden_size": 2304, "intermediate_size": 9216,
       "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "sliding_window": 4096,
       "vocab_size": 256000})"},
    {"tiny-gemma2", "a Gemma 2 for tests", "smollm", R"({
       "model_type": "gemma2", "num_hidden_layers": 3, "hidden_size": 128, "intermediate_size": 256,
       "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 64, "query_pre_attn_scalar": 64,
       "sliding_window": 16, "vocab_size": 320, "max_position_embeddings": 4096})"},
};

constexpr Preset kGemma3Presets[] = {
    {"gemma3-270m", "Gemma 3 270M", "smollm", R"({
       "model_type": "gemma3_text", "num_hidden_layers": 18, "hidden_size": 640, "intermediate_size": 2048,
       "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 256, "sliding_window": 512,
       "vocab_size": 262144, "max_position_embeddings": 32768})"},
    {"gemma3-1b", "Gemma 3 1B", "smollm", R"({
       "model_type": "gemma3_text", "num_hidden_layers": 26, "hidden_size": 1152, "intermediate_size": 6912,
       "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 256, "sliding_window": 512,
       "vocab_size": 262144, "max_position_embeddings": 32768})"},
    {"gemma3-4b", "Gemma 3 4B", "smollm", R"({
       "model_type": "gemma3_text", "num_hidden_layers": 34, "hidden_size": 2560, "intermediate_size": 10240,
       "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "sliding_window": 1024,
       "rope_scaling": {"rope_type": "linear", "factor": 8.0}, "vocab_size": 262208,
       "max_position_embeddings": 131072})"},
    {"tiny-gemma3", "a Gemma 3 for tests", "smollm", R"({
       "model_type": "gemma3_text", "num_hidden_layers": 7, "hidden_size": 128, "intermediate_size": 256,
       "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 64, "query_pre_attn_scalar": 64,
       "sliding_window": 24, "rope_scaling": {"rope_type": "linear", "factor": 8.0}, "vocab_size": 320,
       "max_position_embeddings": 4096})"},
};

}  // namespace

extern const ArchitectureRow kGemma2, kGemma3;
constinit const ArchitectureRow kGemma2 = {
    .name = "gemma2",
    .pre_tokenizer = "",
    .hugging_face = kGemma2Types,
    .tensors = {.model = kModelTensors, .layer = kGemma2Tensors},
    .presets = kGemma2Presets,
    .read = read_gemma2,
    .write = write_gemma2,
    .make = make_transformer<RopePairs::kHalves>,
};
constinit const ArchitectureRow kGemma3 = {
    .name = "gemma3",
    .pre_tokenizer = "",
    .hugging_face = kGemma3Types,
    .tensors = {.model = kModelTensors, .layer = kGemma3Tensors},
    .presets = kGemma3Presets,
    .read = read_gemma3,
    .write = write_gemma3,
    .make = make_transformer<RopePairs::kHalves>,
};

}  // namespace fieldprint
