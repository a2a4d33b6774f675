#include "models/hparams.h"

#include <fmt/format.h>

#include <algorithm>

namespace fieldprint {
namespace {

constexpr double kMaxScale = 1e6;

const AttentionKind& kind_named(const Metadata& metadata, std::string_view name) {
  const AttentionKind* kind = find_attention_kind(name);
  if (kind != nullptr) return *kind;
  std::string known;
  for (const AttentionKind& one : attention_kinds()) known += fmt::format("{}{}", known.empty() ? "" : ", ", one.name);
  metadata.unsupported(
      fmt::format("{}: attention of kind '{}' is not supported", metadata.name("attention.kind"), name),
      "supported: " + known);
}

constexpr double kLeastNumber = 1e-30, kMostNumber = 1e30;

// One number for each pair; empty where the file has no such tensor.
std::vector<float> read_divisors(const Metadata& metadata, const char* name, int pairs) {
  std::vector<float> divisors;
  const GgufTensor* tensor = metadata.file().find_tensor(name);
  if (tensor == nullptr) return divisors;
  divisors.resize(static_cast<size_t>(pairs));
  if (tensor->elements() != divisors.size())
    metadata.refuse(fmt::format("{} has {} numbers for {} pairs", name, tensor->elements(), pairs));
  tensor->type->decode(tensor->data, divisors.data(), pairs);
  if (!std::all_of(divisors.begin(), divisors.end(), [](float d) { return d > 0 && d < kMostNumber; }))
    metadata.refuse(fmt::format("{} holds numbers that are not positive", name));
  return divisors;
}

RopeScaling read_scaling(const Metadata& metadata) {
  // Files from before there were types have a factor only, under one of two names; it is linear.
  const bool has_factor = metadata.has("rope.scaling.factor") || metadata.has("rope.scale_linear");
  const std::string_view type = metadata.string("rope.scaling.type", has_factor ? "linear" : "none");
  // Writers of LongRoPE leave the type away.
  if (metadata.file().find_tensor("rope_factors_long.weight") != nullptr) return RopeScaling::kLongRope;
  if (type == "none") return RopeScaling::kNone;
  if (type == "linear") return RopeScaling::kLinear;
  if (type == "yarn") return RopeScaling::kYarn;
  if (type == "longrope") metadata.refuse("the file asks for LongRoPE and has no rope_factors_long.weight");
  metadata.unsupported(fmt::format("RoPE scaling of type '{}' is not supported", type),
                       "supported: none, linear, yarn, longrope");
}

void read_rope(const Metadata& metadata, const Hyperparameters& hp, RopeSettings& rope) {
  rope.dims = metadata.integer("rope.dimension_count", 2, hp.head_dim, hp.head_dim);
  if (rope.dims % 2 != 0) metadata.refuse(fmt::format("{} is odd", metadata.name("rope.dimension_count")));
  rope.base = metadata.number("rope.freq_base", kLeastNumber, kMostNumber, 10000);
  rope.scaling = read_scaling(metadata);
  if (rope.scaling == RopeScaling::kLinear || rope.scaling == RopeScaling::kYarn) {
    const double factor =
        metadata.number("rope.scaling.factor", 0, kMostNumber, metadata.number("rope.scale_linear", 0, kMostNumber, 1));
    rope.factor = factor == 0 ? 1 : factor;  // 0 is how some writers say "none"
  }
  rope.original_context = metadata.integer("rope.scaling.original_context_length", 0, 1 << 30, 0);
  if (rope.original_context == 0) rope.original_context = hp.context;
  rope.magnitude = metadata.number("rope.scaling.attn_factor", kLeastNumber, kMostNumber, 1);
  if (rope.scaling == RopeScaling::kYarn) {
    rope.beta_fast = metadata.number("rope.scaling.yarn_beta_fast", kLeastNumber, kMostNumber, rope.beta_fast);
    rope.beta_slow = metadata.number("rope.scaling.yarn_beta_slow", kLeastNumber, kMostNumber, rope.beta_slow);
    if (rope.base <= 1) metadata.refuse(fmt::format("{} is too small for YaRN", metadata.name("rope.freq_base")));
  }
  rope.divisors = read_divisors(metadata, "rope_freqs.weight", rope.dims / 2);
  rope.long_divisors = read_divisors(metadata, "rope_factors_long.weight", rope.dims / 2);
  rope.short_divisors = read_divisors(metadata, "rope_factors_short.weight", rope.dims / 2);
  if (rope.long_divisors.size() != rope.short_divisors.size())
    metadata.refuse("LongRoPE wants both rope_factors_long.weight and rope_factors_short.weight");
}

void write_rope(const MetadataWriter& out, const RopeSettings& rope) {
  const auto number = [&](const char* key, double value) { out.set(key, static_cast<float>(value)); };
  if (rope.scaling == RopeScaling::kLinear || rope.scaling == RopeScaling::kYarn) {
    out.set("rope.scaling.type", rope.scaling == RopeScaling::kYarn ? "yarn" : "linear");
    number("rope.scaling.factor", rope.factor);
  }
  if (rope.scaling == RopeScaling::kYarn) {
    number("rope.scaling.yarn_beta_fast", rope.beta_fast);
    number("rope.scaling.yarn_beta_slow", rope.beta_slow);
  }
  if (rope.scaling == RopeScaling::kYarn || rope.scaling == RopeScaling::kLongRope)
    out.set("rope.scaling.original_context_length", rope.original_context);
  if (rope.magnitude != 1) number("rope.scaling.attn_factor", rope.magnitude);
}

void read_attention(const Metadata& metadata, Hyperparameters& hp) {
  const auto kv_heads = metadata.integers("attention.head_count_kv", hp.layers, 0, 1 << 12, hp.heads);
  const auto kinds = metadata.strings("attention.kind", hp.layers, dot_kind().name);
  bool third = false, anchored = false;
  for (size_t i = 0; i < hp.plan.size(); ++i) {
    LayerPlan& layer = hp.plan[i];
    layer.kv_heads = kv_heads[i];
    if (layer.kv_heads == 0) continue;
    layer.attention = &kind_named(metadata, kinds[i]);
    layer.fused_qkv = metadata.file().find_tensor(fmt::format("blk.{}.attn_qkv.weight", i)) != nullptr;
    third = third || layer.attention->wants_r();
    if (!layer.attention->anchors) continue;
    anchored = true;
    // A layer that will turn out not to attend has none.
    if (const GgufTensor* keys = metadata.file().find_tensor(fmt::format("blk.{}.attn_anchor_k.weight", i)))
      layer.anchors = static_cast<int>(std::min<uint64_t>(keys->shape[1], 1 << 24));
  }
  if (metadata.has("attention.scale"))
    hp.attention_scale = static_cast<float>(metadata.number("attention.scale", 0, kMaxScale));
  if (third) {
    const std::string_view norm = metadata.string("attention.gram.norm", "none");
    if (norm != "none" && norm != "rms")
      metadata.refuse(fmt::format("{} is '{}', expected none or rms", metadata.name("attention.gram.norm"), norm));
    hp.gram_norm = norm == "rms";
  }
  if (anchored) {
    hp.anchor_share = static_cast<float>(metadata.number("attention.anchor.share", 0, 1, 0.5));
    hp.anchor_scale = static_cast<float>(metadata.number("attention.anchor.scale", 0, kMaxScale, 1));
  }
}

void read_experts(const Metadata& metadata, Hyperparameters& hp) {
  hp.dense_layers = hp.layers;
  hp.experts = metadata.integer("expert_count", 0, 1 << 16, 0);
  if (hp.experts == 0) return;
  hp.dense_layers = metadata.integer("leading_dense_block_count", 0, hp.layers, 0);
  hp.experts_used = metadata.integer("expert_used_count", 1, hp.experts);
  hp.expert_ffn = metadata.integer("expert_feed_forward_length", 1, 1 << 22,
                                   hp.plan[0].ffn > 0 ? std::optional<int64_t>(hp.plan[0].ffn) : std::nullopt);
  hp.shared_ffn = metadata.integer("expert_shared_feed_forward_length", 0, 1 << 22, 0);
  const int gating = metadata.integer("expert_gating_func", 0, INT32_MAX, 0);
  if (gating > static_cast<int>(Gating::kSoftmaxChosen)) {
    metadata.unsupported(
        fmt::format("{} is {}: experts are scored by functions 1 to 3 (softmax, sigmoid, softmax of "
                    "the chosen)",
                    metadata.name("expert_gating_func"), gating));
  }
  hp.gating = static_cast<Gating>(gating);
  // The shares of the chosen experts add up to 1. A softmax of the chosen ones has that sum of itself.
  if (!metadata.boolean("expert_weights_norm", true) && hp.gating != Gating::kSoftmaxChosen)
    metadata.unsupported("experts whose shares are not normalised are not supported");
  const double scale = metadata.number("expert_weights_scale", 0, kMaxScale, 1);
  if (scale != 0 && scale != 1)  // 0 is how some writers say "none"
    metadata.unsupported(fmt::format("{} is {}, only 1 is supported", metadata.name("expert_weights_scale"), scale));
  hp.fused_gate_up =
      metadata.file().find_tensor(fmt::format("blk.{}.ffn_gate_up_exps.weight", hp.dense_layers)) != nullptr;
  for (size_t i = 0; i < hp.plan.size(); ++i) hp.plan[i].experts = i >= static_cast<size_t>(hp.dense_layers);
}

void write_attention(const MetadataWriter& out, const Hyperparameters& hp) {
  std::vector<std::string> kinds;  // of layers that attend not, what is not looked at
  const AttentionKind* first = nullptr;
  bool alike = true, third = false, anchored = false;
  for (const LayerPlan& layer : hp.plan) {
    kinds.emplace_back(layer.attention == nullptr ? dot_kind().name : layer.attention->name);
    if (layer.attention == nullptr) continue;
    if (first == nullptr) first = layer.attention;
    alike = alike && layer.attention == first;
    third = third || layer.attention->wants_r();
    anchored = anchored || layer.attention->anchors;
  }
  if (!alike) out.set("attention.kind", std::move(kinds));
  else if (first != nullptr && first != &dot_kind()) out.set("attention.kind", first->name);
  if (hp.attention_scale) out.set("attention.scale", *hp.attention_scale);
  if (third) out.set("attention.gram.norm", hp.gram_norm ? "rms" : "none");
  if (anchored) out.set("attention.anchor.share", hp.anchor_share);
  if (anchored && hp.anchor_scale != 1) out.set("attention.anchor.scale", hp.anchor_scale);
}

}  // namespace

Hyperparameters read_common(const Metadata& metadata, std::string_view eps_key, int least_ffn) {
  Hyperparameters hp;
  const int blocks = metadata.integer("block_count", 1, 1000);
  hp.extra_blocks = metadata.integer("nextn_predict_layers", 0, blocks - 1, 0);
  hp.layers = blocks - hp.extra_blocks;
  hp.width = metadata.integer("embedding_length", 1, 1 << 20);
  hp.context = metadata.integer("context_length", 1, 1 << 30);
  hp.heads = metadata.integer("attention.head_count", 1, 1 << 12);
  hp.head_dim = metadata.integer("attention.key_length", 1, 1 << 20, hp.width / hp.heads);
  if (metadata.integer("attention.value_length", 1, 1 << 20, hp.head_dim) != hp.head_dim)
    metadata.unsupported("keys and values of different length are not supported");
  hp.eps = static_cast<float>(metadata.number(eps_key, 0, 1));
  hp.vocabulary = static_cast<int>(std::min<uint64_t>(metadata.file().tensor("token_embd.weight").shape[1], 1 << 30));
  hp.tied = metadata.file().find_tensor("output.weight") == nullptr;
  hp.plan.resize(static_cast<size_t>(hp.layers));
  // Where all layers have experts, files may leave it away.
  if (metadata.integer("expert_count", 0, 1 << 16, 0) > 0) least_ffn = 0;
  const auto ffn = metadata.integers("feed_forward_length", hp.layers, least_ffn, 1 << 22,
                                     least_ffn == 0 ? std::optional<int64_t>(0) : std::nullopt);
  for (size_t i = 0; i < hp.plan.size(); ++i) hp.plan[i].ffn = ffn[i];
  read_rope(metadata, hp, hp.rope);
  read_attention(metadata, hp);
  read_experts(metadata, hp);
  const auto scale = [&](const char* key) { return static_cast<float>(metadata.number(key, 1e-6, kMaxScale, 1)); };
  hp.embedding_scale = scale("embedding_scale");
  hp.residual_scale = scale("residual_scale");
  hp.logit_scale = scale("logit_scale");
  return hp;
}

void read_linear_attention(const Metadata& metadata, Hyperparameters& hp) {
  hp.conv_taps = metadata.integer("ssm.conv_kernel", 1, 64);
  hp.linear_keys = metadata.integer("ssm.state_size", 4, 1 << 10);
  hp.linear_groups = metadata.integer("ssm.group_count", 1, 1 << 12);
  hp.linear_heads = metadata.integer("ssm.time_step_rank", 1, 1 << 12);
  const int inner = metadata.integer("ssm.inner_size", 1, 1 << 20);
  hp.linear_columns = inner / hp.linear_heads;
  if (inner % hp.linear_heads != 0 || hp.linear_heads % hp.linear_groups != 0 || hp.linear_keys % 4 != 0) {
    metadata.refuse(fmt::format("{} heads of linear attention cannot share {} values and {} groups of {}",
                                hp.linear_heads, inner, hp.linear_groups, hp.linear_keys));
  }
}

void write_linear_attention(const MetadataWriter& out, const Hyperparameters& hp) {
  out.set("ssm.conv_kernel", hp.conv_taps);
  out.set("ssm.state_size", hp.linear_keys);
  out.set("ssm.group_count", hp.linear_groups);
  out.set("ssm.time_step_rank", hp.linear_heads);
  out.set("ssm.inner_size", hp.linear_heads * hp.linear_columns);
}

void write_sizes(const MetadataWriter& out, const Hyperparameters& hp) {
  std::vector<int> ffn, kv_heads;
  for (const LayerPlan& layer : hp.plan) ffn.push_back(layer.ffn), kv_heads.push_back(layer.kv_heads);
  out.set("block_count", hp.layers + hp.extra_blocks);
  if (hp.extra_blocks > 0) out.set("nextn_predict_layers", hp.extra_blocks);
  out.set("context_length", hp.context);
  out.set("embedding_length", hp.width);
  if (std::any_of(ffn.begin(), ffn.end(), [](int n) { return n > 0; })) out.set("feed_forward_length", ffn);
  out.set("attention.head_count", hp.heads);
  out.set("vocab_size", hp.vocabulary);
  out.set("rope.freq_base", static_cast<float>(hp.rope.base));
  out.set("attention.layer_norm_rms_epsilon", hp.eps);
  out.set("attention.head_count_kv", kv_heads);
}

void write_settings(const MetadataWriter& out, const Hyperparameters& hp) {
  if (hp.head_dim * hp.heads != hp.width) {
    out.set("attention.key_length", hp.head_dim);
    out.set("attention.value_length", hp.head_dim);
  }
  write_attention(out, hp);
  if (hp.experts > 0) {
    out.set("expert_count", hp.experts);
    out.set("expert_used_count", hp.experts_used);
    out.set("expert_feed_forward_length", hp.expert_ffn);
    if (hp.shared_ffn > 0) out.set("expert_shared_feed_forward_length", hp.shared_ffn);
    out.set("leading_dense_block_count", hp.dense_layers);
    out.set("expert_gating_func", static_cast<int>(hp.gating));
  }
  write_rope(out, hp.rope);
  const auto scale = [&](const char* key, float value) {
    if (value != 1) out.set(key, value);
  };
  scale("embedding_scale", hp.embedding_scale);
  scale("residual_scale", hp.residual_scale);
  scale("logit_scale", hp.logit_scale);
}

}  // namespace fieldprint
