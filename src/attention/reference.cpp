#include "attention/reference.h"

#include <algorithm>
#include <cmath>
#include <optional>

namespace fieldprint {
namespace {

double score(const AttentionKind& kind, const double* q, const double* r, const double* k, int d) {
  return kind.formula_f64(q, r, k, d);
}
float score(const AttentionKind& kind, const float* q, const float* r, const float* k, int d) {
  return kind.formula_f32(q, r, k, d);
}

// out += weight * softmax(scale * scores) V, the scores capped where the layer does that; with a sink among them, where
// given, which has no value.
template <class Number>
void add_softmax(const AttentionSpec& spec, Number scale, Number weight, int d, const Number* q, const Number* r,
                 const ReferenceKeys<Number>& context, std::optional<Number> sink, Number* out) {
  const auto cap = static_cast<Number>(spec.softcap);
  std::vector<Number> p;
  for (int j = context.first; j < context.end; ++j) {
    const Number s = scale * score(*spec.kind, q, r, context.keys + j * context.stride, d);
    p.push_back(cap > 0 ? cap * std::tanh(s / cap) : s);
  }
  Number largest = *std::max_element(p.begin(), p.end());
  if (sink) largest = std::max(largest, *sink);
  Number total = sink ? std::exp(*sink - largest) : Number{0};
  for (Number& s : p) total += s = std::exp(s - largest);
  for (int i = 0; i < d; ++i) {
    Number sum = 0;
    for (int j = context.first; j < context.end; ++j)
      sum += p[static_cast<size_t>(j - context.first)] * context.values[j * context.stride + i];
    out[i] += weight * (sum / total);
  }
}

}  // namespace

template <class Number>
void attend_reference(const AttentionSpec& spec, int d, int head, int kv_head, const Number* q, const Number* r,
                      const ReferenceKeys<Number>& context, Number* out) {
  std::fill(out, out + d, Number{0});
  const auto share = static_cast<Number>(spec.share);
  std::optional<Number> sink;
  if (!spec.sinks.empty()) sink = static_cast<Number>(spec.sinks[static_cast<size_t>(head)]);
  if (share < 1) add_softmax<Number>(spec, static_cast<Number>(spec.scale), 1 - share, d, q, r, context, sink, out);
  if (share > 0) {
    const std::vector<Number> keys(spec.anchors->keys().begin(), spec.anchors->keys().end()),
        values(spec.anchors->values().begin(), spec.anchors->values().end());
    const int count = spec.anchors->count();
    const int64_t stride = static_cast<int64_t>(keys.size()) / count, at = int64_t{kv_head} * d;
    add_softmax<Number>(spec, static_cast<Number>(spec.anchor_scale), share, d, q, r,
                        {keys.data() + at, values.data() + at, stride, 0, count}, {}, out);
  }
}

template void attend_reference(const AttentionSpec&, int, int, int, const double*, const double*,
                               const ReferenceKeys<double>&, double*);
template void attend_reference(const AttentionSpec&, int, int, int, const float*, const float*,
                               const ReferenceKeys<float>&, float*);

}  // namespace fieldprint
