// Groups of rows (models/plan.h) that architectures have in common, with the names that most of them have on Hugging
// Face. An architecture joins the groups that it has and writes down what is its own.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "models/plan.h"

namespace fieldprint {

// The rows of all groups, in order: join_rows(kPreNormRows, kQkvRows<There::kSame>, ...).
template <size_t... kCounts>
constexpr auto join_rows(const std::array<TensorRow, kCounts>&... groups) {
  std::array<TensorRow, (kCounts + ...)> all{};
  size_t next = 0;
  const auto append = [&](const auto& group) {
    for (const TensorRow& row : group) all[next++] = row;
  };
  (append(groups), ...);
  return all;
}

// The same rows, of norms that are stored around 0 on Hugging Face.
template <size_t kCount>
constexpr auto norms_minus_one(std::array<TensorRow, kCount> rows) {
  for (TensorRow& row : rows) {
    if (row.draw == Draw::kNorm || row.draw == Draw::kOutputNorm) row.form = There::kMinusOne;
  }
  return rows;
}

// The same row, of heads that stand in another order there.
constexpr TensorRow reordered(Heads heads, TensorRow row) {
  row.heads = heads;
  return row;
}

// ---- Of the model
inline constexpr auto kModelRows = std::to_array<TensorRow>({
    {"token_embd.weight", "model.embed_tokens.weight", kAlways, {kVocabulary, kWidth}, There::kSame, Draw::kUnit},
    {"output_norm.weight", "model.norm.weight", kAlways, {kWidth}, There::kSame, Draw::kOutputNorm},
    {"output.weight", "lm_head.weight", kUntied, {kVocabulary, kWidth}},
});

// What scaling of RoPE writes down.
inline constexpr auto kRopeRows = std::to_array<TensorRow>({
    {"rope_freqs.weight", "", kRopeDivisors, {kRopePairs}, There::kNowhere, Draw::kUnit, kDivisors},
    {"rope_factors_long.weight", "", kLongRope, {kRopePairs}, There::kNowhere, Draw::kUnit, kLongDivisors},
    {"rope_factors_short.weight", "", kLongRope, {kRopePairs}, There::kNowhere, Draw::kUnit, kShortDivisors},
});

// ---- Of a layer: attention
inline constexpr auto kAttnNormRows = std::to_array<TensorRow>({
    {"attn_norm.weight", "input_layernorm.weight", kAlways, {kWidth}, There::kSame, Draw::kNorm},
});

// `form`: There::kHalves where RoPE pairs neighbours here (RopePairs::kAdjacent). A file may have one tensor of all
// rows instead of three.
template <There form>
inline constexpr auto kQkvRows = std::to_array<TensorRow>({
    {"attn_q.weight", "self_attn.q_proj.weight", kSeparateQkv, {kQueryRows, kWidth}, form},
    {"attn_k.weight", "self_attn.k_proj.weight", kSeparateQkv, {kKeys, kWidth}, form},
    {"attn_v.weight", "self_attn.v_proj.weight", kSeparateQkv, {kKeys, kWidth}},
    {"attn_qkv.weight", "", kFusedQkv, {kQkv, kWidth}},
});

inline constexpr auto kQkvBiasRows = std::to_array<TensorRow>({
    {"attn_q.bias", "self_attn.q_proj.bias", kSeparateQkv, {kQueries}, There::kSame, Draw::kBias},
    {"attn_k.bias", "self_attn.k_proj.bias", kSeparateQkv, {kKeys}, There::kSame, Draw::kBias},
    {"attn_v.bias", "self_attn.v_proj.bias", kSeparateQkv, {kKeys}, There::kSame, Draw::kBias},
    {"attn_qkv.bias", "", kFusedQkv, {kQkv}, There::kSame, Draw::kBias},
});

inline constexpr auto kHeadNormRows = std::to_array<TensorRow>({
    {"attn_q_norm.weight", "self_attn.q_norm.weight", kAttends, {kHeadDim}, There::kSame, Draw::kNorm},
    {"attn_k_norm.weight", "self_attn.k_norm.weight", kAttends, {kHeadDim}, There::kSame, Draw::kNorm},
    {"attn_r_norm.weight", "", kThirdProjection, {kHeadDim}, There::kSame, Draw::kNorm},
});

inline constexpr auto kAttnOutputRows = std::to_array<TensorRow>({
    {"attn_output.weight", "self_attn.o_proj.weight", kAttends, {kWidth, kQueries}, There::kSame, Draw::kResidual},
});

// What kinds of attention bring along (docs/formats/attention.md).
inline constexpr auto kAttentionKindRows = std::to_array<TensorRow>({
    {"attn_r.weight", "", kThirdProjection, {kThirdRows, kWidth}},
    {"attn_anchor_k.weight", "", kAnchored, {kAnchors, kKeys}, There::kSame, Draw::kAnchorKeys},
    {"attn_anchor_v.weight", "", kAnchored, {kAnchors, kKeys}, There::kSame, Draw::kUnit},
});

// ---- Of a layer: the feed-forward part
inline constexpr auto kFfnNormRows = std::to_array<TensorRow>({
    {"ffn_norm.weight", "post_attention_layernorm.weight", kAlways, {kWidth}, There::kSame, Draw::kNorm},
});

inline constexpr auto kDenseRows = std::to_array<TensorRow>({
    {"ffn_gate.weight", "mlp.gate_proj.weight", kDense, {kFfn, kWidth}},
    {"ffn_up.weight", "mlp.up_proj.weight", kDense, {kFfn, kWidth}},
    {"ffn_down.weight", "mlp.down_proj.weight", kDense, {kWidth, kFfn}, There::kSame, Draw::kDown},
});

// Of experts in files of one matrix an expert: "...experts.<>.gate.weight".
constexpr std::array<TensorRow, 5> expert_rows(std::string_view router, std::string_view gate, std::string_view up,
                                               std::string_view down) {
  return {{
      {"ffn_gate_inp.weight", router, kMixture, {kExperts, kWidth}},
      {"ffn_gate_exps.weight", gate, kGateAndUp, {kExperts, kExpertFfn, kWidth}, There::kStacked},
      {"ffn_up_exps.weight", up, kGateAndUp, {kExperts, kExpertFfn, kWidth}, There::kStacked},
      {"ffn_gate_up_exps.weight", "", kFusedGateUp, {kExperts, kTwoExpertFfns, kWidth}},
      {"ffn_down_exps.weight", down, kMixture, {kExperts, kWidth, kExpertFfn}, There::kStacked, Draw::kDown},
  }};
}

}  // namespace fieldprint
