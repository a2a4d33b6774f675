// Back through the states of linear attention. A token's step, with M' = decay * M and e = v - M'^T k (without beta
// d = v):
//   d = beta * e;  M = M' + k d^T;  o = M^T q
// From the last token to the first, G the gradient of M:
//   G += q do^T;  dq = M do;  dd = G^T k;  dk = G d
//   dbeta = e dd;  dv = beta * dd;  G -= k dv^T;  dk -= M' dv
//   ddecay = sum of G * M before;  G *= decay
// States are computed again, segment by segment, from those kept at the start of each: of T tokens about 2 sqrt(T) are
// there at once (Chen et al. 2016).
#include "ops/linear_attention.h"

namespace fieldprint {
namespace {

// Tokens of a segment, and no fewer than there are segments.
int64_t segment_of(int64_t tokens) {
  int64_t segment = 1;
  while (segment * segment < tokens) ++segment;
  return segment;
}

// What one head of one sequence needs: allocated before the threads begin.
template <class Number>
struct Scratch {
  Scratch(const LinearAttention& net, int64_t tokens)
      : starts(static_cast<size_t>(segment_of(tokens) * net.keys * net.columns)),
        states(starts.size() + state_size(net)),
        gradient(state_size(net)),
        e(static_cast<size_t>(segment_of(tokens) * net.columns)),
        d(e.size()),
        dd(static_cast<size_t>(net.columns)) {}
  static size_t state_size(const LinearAttention& net) { return static_cast<size_t>(net.keys * net.columns); }

  std::vector<Number> starts;    // states before each segment
  std::vector<Number> states;    // before the segment's tokens, and after the last
  std::vector<Number> gradient;  // of the state: G
  std::vector<Number> e, d;      // of the segment's tokens
  std::vector<Number> dd;
};

template <class Number>
class HeadBackward {
 public:
  HeadBackward(const LinearAttention& net, const HeadRows<Number>& rows, const HeadGradients<Number>& gradients,
               int head, int group, Scratch<Number>& scratch)
      : net_(net), rows_(rows), gradients_(gradients), head_(head), group_(group), scratch_(scratch) {}

  void operator()(const SequenceRows& sequence) {
    const int64_t size = net_.keys * int64_t{net_.columns};
    Number* states = scratch_.states.data();
    const int64_t tokens = sequence.end - sequence.begin, length = segment_of(tokens),
                  segments = (tokens + length - 1) / length;
    const auto begin_of = [&](int64_t segment) { return sequence.begin + segment * length; };
    const auto end_of = [&](int64_t segment) { return std::min<int64_t>(sequence.end, begin_of(segment + 1)); };
    std::fill_n(states, size, Number{0});
    for (int64_t segment = 0; segment < segments; ++segment) {
      std::copy_n(states, size, scratch_.starts.data() + segment * size);
      for (int64_t t = begin_of(segment); segment + 1 < segments && t < end_of(segment); ++t)
        forward(t, 0, states, states);
    }
    std::fill(scratch_.gradient.begin(), scratch_.gradient.end(), Number{0});
    for (int64_t segment = segments; segment-- > 0;) {
      const int64_t begin = begin_of(segment);
      std::copy_n(scratch_.starts.data() + segment * size, size, states);
      for (int64_t t = begin; t < end_of(segment); ++t)
        forward(t, t - begin, states + (t - begin) * size, states + (t - begin + 1) * size);
      for (int64_t t = end_of(segment); t-- > begin;)
        backward(t, t - begin, states + (t - begin) * size, states + (t - begin + 1) * size);
    }
  }

 private:
  const Number* query(int64_t t) const { return rows_.q + t * rows_.key_stride + int64_t{group_} * net_.keys; }
  const Number* key(int64_t t) const { return rows_.k + t * rows_.key_stride + int64_t{group_} * net_.keys; }
  Number decay(int64_t t) const { return rows_.decay[t * rows_.gate_stride + head_]; }
  Number beta(int64_t t) const { return rows_.beta[t * rows_.gate_stride + head_]; }

  // `after` may be `before`. Token t is number `n` of its segment.
  void forward(int64_t t, int64_t n, const Number* before, Number* after) {
    const int64_t columns = net_.columns;
    const Number *k = key(t), *v = rows_.v + t * rows_.value_stride + head_ * columns;
    Number *e = scratch_.e.data() + n * columns, *d = scratch_.d.data() + n * columns;
    for (int64_t i = 0; i < net_.keys * columns; ++i) after[i] = decay(t) * before[i];
    std::copy_n(v, columns, e);
    for (int64_t i = 0; rows_.beta != nullptr && i < net_.keys; ++i)
      for (int64_t j = 0; j < columns; ++j) e[j] -= after[i * columns + j] * k[i];
    for (int64_t j = 0; j < columns; ++j) d[j] = rows_.beta != nullptr ? beta(t) * e[j] : e[j];
    for (int64_t i = 0; i < net_.keys; ++i)
      for (int64_t j = 0; j < columns; ++j) after[i * columns + j] += k[i] * d[j];
  }

  void backward(int64_t t, int64_t n, const Number* before, const Number* after) {
    const int64_t columns = net_.columns, keys = net_.keys, heads = net_.heads;
    const Number *q = query(t), *k = key(t), *by_o = gradients_.o + (t * heads + head_) * columns,
                 *e = scratch_.e.data() + n * columns, *d = scratch_.d.data() + n * columns;
    Number *dq = gradients_.q + (t * heads + head_) * keys, *dk = gradients_.k + (t * heads + head_) * keys,
           *dv = gradients_.v + (t * heads + head_) * columns, *dd = scratch_.dd.data();
    std::fill_n(dd, columns, Number{0});
    for (int64_t i = 0; i < keys; ++i) {
      Number* g = scratch_.gradient.data() + i * columns;
      Number by_q = 0, by_k = 0;
      for (int64_t j = 0; j < columns; ++j) {
        g[j] += q[i] * by_o[j];
        by_q += after[i * columns + j] * by_o[j];
        by_k += g[j] * d[j];
        dd[j] += g[j] * k[i];
      }
      dq[i] = by_q, dk[i] = by_k;
    }
    const bool corrects = rows_.beta != nullptr;
    Number by_beta = 0, by_decay = 0;
    for (int64_t j = 0; j < columns; ++j) {
      dv[j] = corrects ? beta(t) * dd[j] : dd[j];
      by_beta += e[j] * dd[j];
    }
    for (int64_t i = 0; i < keys; ++i) {
      const Number* m = before + i * columns;
      Number* g = scratch_.gradient.data() + i * columns;
      Number by_k = 0;
      for (int64_t j = 0; j < columns; ++j) {
        if (corrects) {
          g[j] -= k[i] * dv[j];
          by_k += decay(t) * m[j] * dv[j];
        }
        by_decay += g[j] * m[j];
        g[j] *= decay(t);
      }
      dk[i] -= by_k;
    }
    gradients_.decay[t * heads + head_] = by_decay;
    if (corrects) gradients_.beta[t * heads + head_] = by_beta;
  }

  const LinearAttention& net_;
  const HeadRows<Number>& rows_;
  const HeadGradients<Number>& gradients_;
  const int head_, group_;
  Scratch<Number>& scratch_;
};

int64_t longest(std::span<const SequenceRows> sequences) {
  int64_t tokens = 0;
  for (const SequenceRows& s : sequences) tokens = std::max<int64_t>(tokens, s.end - s.begin);
  return tokens;
}

}  // namespace

void scan_heads_backward(RunExecutor& run, const LinearAttention& net, std::span<const SequenceRows> sequences,
                         const HeadRows<float>& rows, std::span<const int> group_of_head,
                         const HeadGradients<float>& gradients) {
  std::vector<Scratch<float>> scratch(static_cast<size_t>(run.pool().threads()), {net, longest(sequences)});
  run.pool().run(static_cast<int64_t>(sequences.size()) * net.heads, [&](int64_t piece, int thread) {
    const auto head = static_cast<int>(piece % net.heads);
    HeadBackward(net, rows, gradients, head, group_of_head[static_cast<size_t>(head)],
                 scratch[static_cast<size_t>(thread)])(sequences[static_cast<size_t>(piece / net.heads)]);
  });
}

void scan_heads_backward(ReferenceExecutor&, const LinearAttention& net, std::span<const SequenceRows> sequences,
                         const HeadRows<double>& rows, std::span<const int> group_of_head,
                         const HeadGradients<double>& gradients) {
  Scratch<double> scratch(net, longest(sequences));
  for (const SequenceRows& sequence : sequences) {
    for (int head = 0; head < net.heads; ++head)
      HeadBackward(net, rows, gradients, head, group_of_head[static_cast<size_t>(head)], scratch)(sequence);
  }
}

}  // namespace fieldprint
