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

AttentionLayer::AttentionLayer(const Hyperparameters& hp, int layer, const Weights& weights)
    : gated_(hp.attention_gate) {
  const LayerPlan& plan = hp.plan[static_cast<size_t>(layer)];
  const AttentionKind& kind = *plan.attention;
  const int64_t q_rows = int64_t{hp.heads} * hp.head_dim * (gated_ ? 2 : 1),
                k_rows = int64_t{plan.kv_heads} * hp.head_dim;
  if (plan.fused_qkv) {
    const Weight& all = weights("attn_qkv.weight", layer);
    q_ = all.some_rows(0, q_rows);
    k_ = all.some_rows(q_rows, k_rows);
    v_ = all.some_rows(q_rows + k_rows, k_rows);
  } else {
    q_ = weights("attn_q.weight", layer);
    k_ = weights("attn_k.weight", layer);
    v_ = weights("attn_v.weight", layer);
  }
  if (const Weight& all = weights("attn_qkv.bias", layer); all.given()) {
    q_bias_ = all.some_floats(0, q_rows);
    k_bias_ = all.some_floats(q_rows, k_rows);
    v_bias_ = all.some_floats(q_rows + k_rows, k_rows);
  } else {
    q_bias_ = weights("attn_q.bias", layer);
    k_bias_ = weights("attn_k.bias", layer);
    v_bias_ = weights("attn_v.bias", layer);
  }
  o_ = weights("attn_output.weight", layer);
  o_bias_ = weights("attn_output.bias", layer);
  r_ = weights("attn_r.weight", layer);
  r_bias_ = weights("attn_r.bias", layer);
  const auto norm = [&](const char* name) { return RmsNorm{weights(name, layer), hp.eps}; };
  q_norm_ = norm("attn_q_norm.weight");
  k_norm_ = norm("attn_k_norm.weight");
  r_norm_ = norm("attn_r_norm.weight");
  if ((hp.head_norm || (kind.wants_r() && hp.gram_norm)) && !q_norm_.weight.given()) {
    Weight all = ones();
    all.cols = hp.head_dim;
    q_norm_ = k_norm_ = r_norm_ = {all, hp.eps};
  }
  rotates_ = plan.rope;
  shape_ = {.layer = layer,
            .window = plan.window,
            .heads = hp.heads,
            .kv_heads = plan.kv_heads,
            .head_dim = hp.head_dim * (kind.key_plane ? 2 : 1),
            .causal = !hp.encoder,
            .spec = {.kind = &kind}};
  shape_.spec.scale = hp.attention_scale.value_or(static_cast<float>(kind.scale(hp.head_dim)));
  shape_.spec.softcap = hp.attention_softcap;
  if (const Weight& sinks = weights("attn_sinks.weight", layer); sinks.given())
    shape_.spec.sinks = {sinks.floats(), static_cast<size_t>(sinks.cols)};
  if (!kind.anchors) return;
  shape_.spec.share = hp.anchor_share;
  shape_.spec.anchor_scale = hp.anchor_scale;
  shape_.spec.anchors =
      std::make_shared<const AnchorRows>(floats(weights("attn_anchor_k.weight", layer)),
                                         floats(weights("attn_anchor_v.weight", layer)), plan.kv_heads, hp.head_dim);
}

Tensor AttentionLayer::forward(Ops& ops, const Tensor& h, const Rope& rope) const {
  const Weight* weights[] = {&q_, &k_, &v_, &r_};
  const bool third = r_.given();
  const size_t count = third ? 4 : 3;
  Tensor qkvr[4];
  ops.linear(h, std::span(weights, count), std::span(qkvr, count));
  if (q_bias_.given()) ops.add_bias(qkvr[0], q_bias_);
  if (k_bias_.given()) ops.add_bias(qkvr[1], k_bias_);
  if (v_bias_.given()) ops.add_bias(qkvr[2], v_bias_);
  if (r_bias_.given()) ops.add_bias(qkvr[3], r_bias_);
  Tensor gate;
  if (gated_) {
    gate = ops.head_part(qkvr[0], shape_.heads, 1, 2);
    qkvr[0] = ops.head_part(qkvr[0], shape_.heads, 0, 2);
  }
  const auto placed = [&](Tensor& x, const RmsNorm& norm, int heads) {
    if (norm.weight.given()) x = norm.forward(ops, x);
    if (rotates_) ops.rope(x, rope, heads);
  };
  placed(qkvr[0], q_norm_, shape_.heads);
  placed(qkvr[1], k_norm_, shape_.kv_heads);
  const AttentionKind& kind = *shape_.spec.kind;
  if (third) placed(qkvr[3], r_norm_, kind.key_plane ? shape_.kv_heads : shape_.heads);
  if (kind.key_plane) {
    qkvr[0] = ops.pad_heads(qkvr[0], shape_.heads);
    qkvr[1] = ops.key_plane(qkvr[1], qkvr[3], shape_.kv_heads);
    qkvr[2] = ops.pad_heads(qkvr[2], shape_.kv_heads);
  }
  Tensor y = ops.attend(shape_, qkvr[0], qkvr[1], qkvr[2], kind.third_projection ? &qkvr[3] : nullptr);
  if (kind.key_plane) y = ops.head_part(y, shape_.heads, 0, 2);
  if (gated_) y = ops.sigmoid_mul(gate, y);
  y = ops.linear(y, o_);
  if (o_bias_.given()) ops.add_bias(y, o_bias_);
  return y;
}

}  // namespace fieldprint
