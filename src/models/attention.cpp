#include "models/attention.h"

#include <vector>

namespace fieldprint {
namespace {

// Where a kind norms heads and the file has no weights for it.
Weight ones() {
  static const std::vector<float> values(kMaxHeadDim, 1.0f);
  return {"ones", find_quant_type("F32"), reinterpret_cast<const std::byte*>(values.data()), 1, 0};
}

std::vector<float> floats(const Weight& rows) {
  std::vector<float> values(static_cast<size_t>(rows.rows * rows.cols));
  for (int64_t i = 0; i < rows.rows; ++i)
    rows.type->decode(rows.data + i * rows.row_bytes(), values.data() + i * rows.cols, rows.cols);
  return values;
}

}  // namespace

AttentionLayer::AttentionLayer(const Hyperparameters& hp, int layer, const Weights& weights) {
  const LayerPlan& plan = hp.plan[static_cast<size_t>(layer)];
  const AttentionKind& kind = *plan.attention;
  q_ = weights("attn_q.weight", layer);
  k_ = weights("attn_k.weight", layer);
  v_ = weights("attn_v.weight", layer);
  o_ = weights("attn_output.weight", layer);
  r_ = weights("attn_r.weight", layer);
  const auto norm = [&](const char* name) { return RmsNorm{weights(name, layer), hp.eps}; };
  q_norm_ = norm("attn_q_norm.weight");
  k_norm_ = norm("attn_k_norm.weight");
  r_norm_ = norm("attn_r_norm.weight");
  if (kind.third_projection && hp.gram_norm && q_norm_.weight.type == nullptr) {
    Weight all = ones();
    all.cols = hp.head_dim;
    q_norm_ = k_norm_ = r_norm_ = {all, hp.eps};
  }
  shape_ = {.layer = layer,
            .window = plan.window,
            .heads = hp.heads,
            .kv_heads = plan.kv_heads,
            .head_dim = hp.head_dim,
            .spec = {.kind = &kind}};
  shape_.spec.scale = hp.attention_scale.value_or(static_cast<float>(kind.scale(hp.head_dim)));
  if (!kind.anchors) return;
  shape_.spec.share = hp.anchor_share;
  shape_.spec.anchor_scale = hp.anchor_scale;
  shape_.spec.anchors =
      std::make_shared<const AnchorRows>(floats(weights("attn_anchor_k.weight", layer)),
                                         floats(weights("attn_anchor_v.weight", layer)), plan.kv_heads, hp.head_dim);
}

Tensor AttentionLayer::forward(Ops& ops, const Tensor& h, const Rope& rope) const {
  const Weight* weights[] = {&q_, &k_, &v_, &r_};
  const bool third = r_.type != nullptr;
  const size_t count = third ? 4 : 3;
  Tensor qkvr[4];
  ops.linear(h, std::span(weights, count), std::span(qkvr, count));
  const auto placed = [&](Tensor& x, const RmsNorm& norm, int heads) {
    if (norm.weight.type != nullptr) x = norm.forward(ops, x);
    ops.rope(x, rope, heads);
  };
  placed(qkvr[0], q_norm_, shape_.heads);
  placed(qkvr[1], k_norm_, shape_.kv_heads);
  if (third) placed(qkvr[3], r_norm_, shape_.heads);
  return ops.linear(ops.attend(shape_, qkvr[0], qkvr[1], qkvr[2], third ? &qkvr[3] : nullptr), o_);
}

}  // namespace fieldprint
