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

// softmax(scale * scores), the scores capped where the layer does that; with a sink among them, where given, which has
// no value.
template <class Number>
struct Softmax {
  std::vector<Number> scores, p;  // p: e^(score - the largest)
  Number of_sink = 0, total = 0;

  Softmax(const AttentionSpec& spec, Number scale, int d, const Number* q, const Number* r,
          const ReferenceKeys<Number>& context, std::optional<Number> sink) {
    const auto cap = static_cast<Number>(spec.softcap);
    for (int j = context.first; j < context.end; ++j) {
      const Number s = scale * score(*spec.kind, q, r, context.keys + j * context.stride, d);
      scores.push_back(cap > 0 ? cap * std::tanh(s / cap) : s);
    }
    p = scores;
    Number largest = *std::max_element(p.begin(), p.end());
    if (sink) largest = std::max(largest, *sink);
    if (sink) of_sink = std::exp(*sink - largest);
    total = of_sink;
    for (Number& s : p) total += s = std::exp(s - largest);
  }
};

// out += weight * softmax(scale * scores) V.
template <class Number>
void add_softmax(const AttentionSpec& spec, Number scale, Number weight, int d, const Number* q, const Number* r,
                 const ReferenceKeys<Number>& context, std::optional<Number> sink, Number* out) {
  const Softmax<Number> softmax(spec, scale, d, q, r, context, sink);
  for (int i = 0; i < d; ++i) {
    Number sum = 0;
    for (int j = context.first; j < context.end; ++j)
      sum += softmax.p[static_cast<size_t>(j - context.first)] * context.values[j * context.stride + i];
    out[i] += weight * (sum / softmax.total);
  }
}

// ds = P (dP - sum over P dP), with dP = weight * dO V^T.
void add_softmax_backward(const AttentionSpec& spec, double scale, double weight, int d, const double* q,
                          const double* r, const ReferenceKeys<double>& context, std::optional<double> sink,
                          const double* d_out, const ReferenceGradients& g) {
  const Softmax<double> softmax(spec, scale, d, q, r, context, sink);
  const auto cap = static_cast<double>(spec.softcap);
  const auto probability = [&](int j) { return softmax.p[static_cast<size_t>(j - context.first)] / softmax.total; };
  std::vector<double> dp;
  double along = 0;
  for (int j = context.first; j < context.end; ++j) {
    double sum = 0;
    for (int i = 0; i < d; ++i) sum += weight * d_out[i] * context.values[j * context.stride + i];
    dp.push_back(sum);
    along += probability(j) * sum;
  }
  std::vector<double> unwanted(static_cast<size_t>(d));
  const auto wanted = [&](double* x, int64_t at) { return x != nullptr ? x + at : unwanted.data(); };
  for (int j = context.first; j < context.end; ++j) {
    const auto n = static_cast<size_t>(j - context.first);
    const int64_t at = j * context.stride;
    double ds = probability(j) * (dp[n] - along);
    if (cap > 0) ds *= 1 - (softmax.scores[n] / cap) * (softmax.scores[n] / cap);
    spec.kind->formula_backward(q, r, context.keys + at, d, scale * ds, wanted(g.dq, 0), wanted(g.dr, 0),
                                wanted(g.dk, at));
    if (g.dv == nullptr) continue;
    for (int i = 0; i < d; ++i) g.dv[at + i] += probability(j) * weight * d_out[i];
  }
  if (g.d_sink != nullptr) *g.d_sink -= softmax.of_sink / softmax.total * along;
}

// The anchors' rows as a context, for a kv head.
template <class Number>
struct ReferenceAnchors {
  std::vector<Number> keys, values;
  ReferenceKeys<Number> rows;

  ReferenceAnchors(const AnchorRows& anchors, int kv_head, int d)
      : keys(anchors.keys().begin(), anchors.keys().end()), values(anchors.values().begin(), anchors.values().end()) {
    const int64_t at = int64_t{kv_head} * d;
    rows = {keys.data() + at, values.data() + at, static_cast<int64_t>(keys.size()) / anchors.count(), 0,
            anchors.count()};
  }
};

template <class Number>
std::optional<Number> sink_of(const AttentionSpec& spec, int head) {
  if (spec.sinks.empty()) return {};
  return static_cast<Number>(spec.sinks[static_cast<size_t>(head)]);
}

}  // namespace

template <class Number>
void attend_reference(const AttentionSpec& spec, int d, int head, int kv_head, const Number* q, const Number* r,
                      const ReferenceKeys<Number>& context, Number* out) {
  std::fill(out, out + d, Number{0});
  const auto share = static_cast<Number>(spec.share);
  if (share < 1)
    add_softmax<Number>(spec, static_cast<Number>(spec.scale), 1 - share, d, q, r, context, sink_of<Number>(spec, head),
                        out);
  if (share > 0)
    add_softmax<Number>(spec, static_cast<Number>(spec.anchor_scale), share, d, q, r,
                        ReferenceAnchors<Number>(*spec.anchors, kv_head, d).rows, {}, out);
}

void attend_reference_backward(const AttentionSpec& spec, int d, int head, int kv_head, const double* q,
                               const double* r, const ReferenceKeys<double>& context, const double* d_out,
                               const ReferenceGradients& gradients) {
  const auto share = static_cast<double>(spec.share);
  if (share < 1)
    add_softmax_backward(spec, static_cast<double>(spec.scale), 1 - share, d, q, r, context,
                         sink_of<double>(spec, head), d_out, gradients);
  if (share > 0)
    add_softmax_backward(spec, static_cast<double>(spec.anchor_scale), share, d, q, r,
                         ReferenceAnchors<double>(*spec.anchors, kv_head, d).rows, {}, d_out,
                         {.dq = gradients.dq, .dr = gradients.dr, .dk = nullptr, .dv = nullptr, .d_sink = nullptr});
}

template void attend_reference(const AttentionSpec&, int, int, int, const double*, const double*,
                               const ReferenceKeys<double>&, double*);
template void attend_reference(const AttentionSpec&, int, int, int, const float*, const float*,
                               const ReferenceKeys<float>&, float*);

}  // namespace fieldprint
