// Mixture of experts: the router's scores become a choice and weights (Moe in ops.h), each token goes to its
// experts, and their outputs are summed.
#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "base/math.h"
#include "kernels/select.h"
#include "ops/activations.h"
#include "ops/backward.h"
#include "ops/observer.h"
#include "ops/ops.h"
#include "ops/products.h"
#include "ops/reference_executor.h"
#include "ops/run_executor.h"

namespace fieldprint {
namespace {

template <class Number>
Number sigmoid(Number x) {
  return Number{1} / (Number{1} + exp_of(-x));
}

// x [n] in place.
template <class Number>
void softmax(Number* x, int n) {
  const Number largest = *std::max_element(x, x + n);
  Number sum = 0;
  for (int i = 0; i < n; ++i) sum += x[i] = exp_of(x[i] - largest);
  for (int i = 0; i < n; ++i) x[i] /= sum;
}

// The experts of one token and their weights [moe.active], in order of choice. `scores` [moe.experts] are the router's
// and become the experts' s, but in kSoftmaxChosen.
template <class Number>
void choose_experts(const Moe& moe, Number* scores, int* chosen, Number* weights) {
  if (moe.gating == Moe::Gating::kSigmoid) std::transform(scores, scores + moe.experts, scores, sigmoid<Number>);
  if (moe.gating == Moe::Gating::kSoftmax) softmax(scores, moe.experts);
  const auto rank_of = [&](int e) {
    return moe.bias.given() ? scores[e] + static_cast<Number>(moe.bias.floats()[e]) : scores[e];
  };
  for (int rank = 0; rank < moe.active; ++rank) {
    int best = -1;
    for (int e = 0; e < moe.experts; ++e) {
      if (std::find(chosen, chosen + rank, e) != chosen + rank) continue;
      if (best < 0 || rank_of(e) > rank_of(best)) best = e;
    }
    chosen[rank] = best;
    weights[rank] = scores[best];
  }
  if (moe.gating == Moe::Gating::kSoftmaxChosen) softmax(weights, moe.active);
  if (moe.renormalise) {
    Number sum = 0;
    for (int rank = 0; rank < moe.active; ++rank) sum += weights[rank];
    sum = std::max(sum, static_cast<Number>(kMinWeightSum));
    for (int rank = 0; rank < moe.active; ++rank) weights[rank] /= sum;
  }
  for (int rank = 0; rank < moe.active; ++rank) weights[rank] *= static_cast<Number>(moe.scale);
}

// The router's scores and, where there is such, those of the shared expert's router.
std::array<Tensor, 2> route(Ops& ops, const Tensor& x, const Moe& moe) {
  const Weight* routers[] = {&moe.router, &moe.shared_router};
  std::array<Tensor, 2> scores;
  const size_t count = moe.shared_router.given() ? 2 : 1;
  ops.linear(x, std::span(routers, count), std::span(scores).first(count));
  if (moe.router_bias.given()) ops.add_bias(scores[0], moe.router_bias);
  return scores;
}

// The choices of all tokens, sorted by expert: one row for each, those of an expert together, so that its weights are
// read once for all its tokens.
struct ExpertRows {
  std::vector<int> chosen;     // [tokens, active]
  std::vector<float> weights;  // [tokens, active]
  std::vector<int> row_of;     // [tokens, active]
  std::vector<int> expert_of;  // [tokens * active]  of each row
  std::vector<int> token_of;   // [tokens * active]  of each row
  std::vector<int> first;      // [experts + 1]  rows of expert e: first[e] .. first[e + 1] - 1
  std::vector<int> next;

  void sort(int experts, int active) {
    first.assign(static_cast<size_t>(experts) + 1, 0);
    for (const int e : chosen) ++first[static_cast<size_t>(e) + 1];
    for (size_t e = 0; e < static_cast<size_t>(experts); ++e) first[e + 1] += first[e];
    row_of.resize(chosen.size());
    next = first;
    expert_of.resize(chosen.size());
    token_of.resize(chosen.size());
    for (size_t i = 0; i < chosen.size(); ++i) {
      row_of[i] = next[static_cast<size_t>(chosen[i])]++;
      expert_of[static_cast<size_t>(row_of[i])] = chosen[i];
      token_of[static_cast<size_t>(row_of[i])] = static_cast<int>(i) / active;
    }
  }

  int count(size_t expert) const { return first[expert + 1] - first[expert]; }
  // Of a choice of `chosen`: the expert, and the row among that expert's.
  size_t expert(int64_t choice) const { return static_cast<size_t>(chosen[static_cast<size_t>(choice)]); }
  int64_t row(int64_t choice) const { return row_of[static_cast<size_t>(choice)] - first[expert(choice)]; }

  // use(expert, its first row, its rows) for every expert that was chosen.
  template <class Use>
  void each(Use&& use) const {
    for (size_t e = 0; e + 1 < first.size(); ++e) {
      if (first[e + 1] > first[e]) use(static_cast<int64_t>(e), int64_t{first[e]}, first[e + 1] - first[e]);
    }
  }
};

// The tokens' rows of x, sorted by expert; quantised only, where nobody asks for the floats.
Tensor gather(RunExecutor& run, const ExpertRows& rows, const Tensor& x, const Moe& moe) {
  const int64_t width = x.cols();
  const int k = static_cast<int>(width);
  Tensor gathered = run.make(x.rows() * moe.active, width);
  const auto copy_rows = [&](auto&& copy) {
    run.for_rows(x.rows(), [&](int t) {
      for (int r = 0; r < moe.active; ++r) copy(t, rows.row_of[static_cast<size_t>(t * moe.active + r)]);
    });
  };
  const bool only_quantized =
      wants_quantized(run.kernels(), *moe.gate.type) && wants_quantized(run.kernels(), *moe.up_stack().type);
  if (only_quantized) {
    const Activations from = quantized(run, x), to = quantized_memory(run, gathered);
    copy_rows([&](int t, int row) { copy_row(from.from(t, k), to.from(row, k), k); });
    run.arena().slot(gathered).quantized_valid = true;
  }
  if (!only_quantized || run.observer() != nullptr) {
    copy_rows([&](int t, int row) {
      std::copy(run.data(x) + t * width, run.data(x) + (t + 1) * width, run.data(gathered) + row * width);
    });
  }
  return gathered;
}

// Of each row's expert.
void add_bias(RunExecutor& run, const ExpertRows& rows, const Weight& bias, Tensor& y) {
  if (!bias.given()) return;
  run.for_rows(y.rows(), [&](int row) {
    const float* b = bias.floats() + rows.expert_of[static_cast<size_t>(row)] * bias.cols;
    float* out = run.data(y) + row * y.cols();
    for (int64_t i = 0; i < bias.cols; ++i) out[i] += b[i];
  });
}

Tensor compute(RunExecutor& run, const Tensor& x, const Moe& moe) {
  const int tokens = x.rows(), active = moe.active;
  const int64_t width = x.cols(), ffn = moe.ffn();
  const bool shared = moe.shared_gate.given();
  Ops ops(run);
  const std::array<Tensor, 2> scores = route(ops, x, moe);
  ExpertRows& rows = run.memory<ExpertRows>();
  rows.chosen.resize(static_cast<size_t>(tokens * active));
  rows.weights.resize(rows.chosen.size());
  run.for_rows(tokens, [&](int t) {
    choose_experts(moe, run.data(scores[0]) + t * moe.experts, rows.chosen.data() + t * active,
                   rows.weights.data() + t * active);
  });
  if (OpsObserver* observer = run.observer()) observer->experts(moe, rows.chosen, rows.weights);

  rows.sort(moe.experts, active);
  const bool alone = tokens == 1;  // every row is that of the one token
  const Tensor gathered = alone ? Tensor() : gather(run, rows, x, moe);
  const Tensor& inputs = alone ? x : gathered;
  const int choices = tokens * active;
  Tensor gate = run.make(choices, ffn), up = run.make(choices, ffn), shared_gate, shared_up;
  Products& products = run.memory<Products>();
  products.clear();
  rows.each([&](int64_t e, int64_t row, int count) {
    for (const auto& [weight, out] : {std::pair(moe.gate_of(e), &gate), std::pair(moe.up_of(e), &up)}) {
      products.add({weight, rows_from(activations(run, inputs, weight), alone ? 0 : row, static_cast<int>(width)),
                    count, run.data(*out) + row * ffn});
    }
  });
  if (shared) {
    shared_gate = run.make(tokens, moe.shared_gate.rows);
    shared_up = run.make(tokens, moe.shared_up.rows);
    products.add({moe.shared_gate, activations(run, x, moe.shared_gate), tokens, run.data(shared_gate)});
    products.add({moe.shared_up, activations(run, x, moe.shared_up), tokens, run.data(shared_up)});
  }
  products.multiply(run);
  add_bias(run, rows, moe.gate_bias, gate);
  add_bias(run, rows, moe.up_bias, up);
  const Tensor h = gated(ops, moe.glu, gate, up);
  const Tensor shared_h = shared ? gated(ops, moe.glu, shared_gate, shared_up) : Tensor();

  Tensor outputs = run.make(choices, width);
  Tensor shared_outputs = shared ? run.make(tokens, width) : Tensor();
  products.clear();
  rows.each([&](int64_t e, int64_t row, int count) {
    products.add({moe.down_of(e), rows_from(activations(run, h, moe.down), row, static_cast<int>(ffn)), count,
                  run.data(outputs) + row * width});
  });
  if (shared)
    products.add({moe.shared_down, activations(run, shared_h, moe.shared_down), tokens, run.data(shared_outputs)});
  products.multiply(run);
  add_bias(run, rows, moe.down_bias, outputs);

  Tensor y = run.make(tokens, width);
  run.for_rows(tokens, [&](int t) {
    float* out = run.data(y) + t * width;
    std::fill(out, out + width, 0.0f);
    const auto add = [&](float weight, const float* from) {
      for (int64_t i = 0; i < width; ++i) out[i] += weight * from[i];
    };
    for (int r = 0; r < active; ++r) {
      const auto choice = static_cast<size_t>(t * active + r);
      add(rows.weights[choice], run.data(outputs) + rows.row_of[choice] * width);
    }
    if (!shared) return;
    add(moe.shared_router.given() ? sigmoid(run.data(scores[1])[t]) : 1.0f, run.data(shared_outputs) + t * width);
  });
  return y;
}

Tensor compute(ReferenceExecutor& reference, const Tensor& x, const Moe& moe) {
  const int64_t width = x.cols();
  Ops ops(reference);
  const std::array<Tensor, 2> scores = route(ops, x, moe);
  Tensor y = reference.make(x.rows(), width), token = reference.make(1, width);
  const auto active = static_cast<size_t>(moe.active);
  std::vector<int> chosen(static_cast<size_t>(x.rows()) * active);  // [T, active]
  std::vector<double> weights(chosen.size());
  for (size_t t = 0; t < static_cast<size_t>(x.rows()); ++t) {
    choose_experts(moe, reference.data(scores[0]) + t * static_cast<size_t>(moe.experts), chosen.data() + t * active,
                   weights.data() + t * active);
  }
  if (OpsObserver* observer = reference.observer())
    observer->experts(moe, chosen, std::vector<float>(weights.begin(), weights.end()));
  for (int t = 0; t < x.rows(); ++t) {
    std::copy(reference.data(x) + t * width, reference.data(x) + (t + 1) * width, reference.data(token));
    double* out = reference.data(y) + t * width;
    std::fill(out, out + width, 0.0);
    // Experts have biases, in row `bias` of each; -1: none.
    const auto product = [&](const Tensor& of, const Weight& weight, const Weight& biases, int64_t bias) {
      Tensor result = ops.linear(of, weight);
      for (int64_t i = 0; bias >= 0 && biases.given() && i < weight.rows; ++i)
        reference.data(result)[i] += static_cast<double>(biases.floats()[bias * biases.cols + i]);
      return result;
    };
    const auto add = [&](double weight, const Weight& gate, const Weight& up, const Weight& down, int64_t bias) {
      const Tensor h =
          gated(ops, moe.glu, product(token, gate, moe.gate_bias, bias), product(token, up, moe.up_bias, bias));
      const Tensor part = product(h, down, moe.down_bias, bias);
      for (int64_t i = 0; i < width; ++i) out[i] += weight * reference.data(part)[i];
    };
    for (size_t i = static_cast<size_t>(t) * active; i < (static_cast<size_t>(t) + 1) * active; ++i) {
      const int64_t e = chosen[i];
      add(weights[i], moe.gate_of(e), moe.up_of(e), moe.down_of(e), e);
    }
    if (!moe.shared_gate.given()) continue;
    add(moe.shared_router.given() ? sigmoid(reference.data(scores[1])[t]) : 1.0, moe.shared_gate, moe.shared_up,
        moe.shared_down, -1);
  }
  return y;
}

// ---- Expert by expert: where a tape records it, or adapters add to the weights. The same bits.

bool has_additions(const Moe& moe) {
  const auto all = {&moe.gate, &moe.up, &moe.down, &moe.shared_gate, &moe.shared_up, &moe.shared_down};
  return std::any_of(all.begin(), all.end(), [](const Weight* w) { return w->additions != nullptr; });
}

template <class AnyExecutor>
bool by_expert(AnyExecutor& executor, const Tensor& x, const Moe& moe) {
  if (has_additions(moe)) return true;
  auto* tape = executor.tape();
  return tape != nullptr && (moe.router.additions != nullptr || moe.shared_router.additions != nullptr ||
                             tape->reaches({&x}, {&moe.router, &moe.router_bias, &moe.gate, &moe.up, &moe.down,
                                                  &moe.gate_bias, &moe.up_bias, &moe.down_bias, &moe.shared_gate,
                                                  &moe.shared_up, &moe.shared_down, &moe.shared_router}));
}

// dscores [experts] += the gradients of one token's weights. `s` is what choose_experts() left.
template <class Number>
void weights_backward(const Moe& moe, const Number* s, const int* chosen, const Number* dweights, Number* dscores) {
  const auto active = static_cast<size_t>(moe.active);
  std::vector<Number> weights(active), g(active);
  const auto along = [&](const std::vector<Number>& of) {
    return std::inner_product(g.begin(), g.end(), of.begin(), Number{0});
  };
  for (size_t r = 0; r < active; ++r) {
    weights[r] = s[chosen[r]];
    g[r] = dweights[r] * static_cast<Number>(moe.scale);
  }
  if (moe.gating == Moe::Gating::kSoftmaxChosen) softmax(weights.data(), moe.active);
  if (moe.renormalise) {  // v = w / sum: (g - sum of g v) / sum, where the sum is above its floor
    const Number sum = std::accumulate(weights.begin(), weights.end(), Number{0}),
                 floor = static_cast<Number>(kMinWeightSum);
    std::vector<Number> v = weights;
    for (Number& each : v) each /= sum;
    const Number common = sum > floor ? along(v) : 0;
    for (Number& each : g) each = (each - common) / std::max(sum, floor);
  }
  switch (moe.gating) {
    case Moe::Gating::kSigmoid:
      for (size_t r = 0; r < active; ++r) dscores[chosen[r]] += g[r] * weights[r] * (1 - weights[r]);
      break;
    case Moe::Gating::kSoftmax:
    case Moe::Gating::kSoftmaxChosen: {  // p (g - sum of p g), g being 0 for those that were not chosen
      const Number common = along(weights);
      for (size_t r = 0; r < active; ++r) dscores[chosen[r]] += weights[r] * g[r];
      if (moe.gating == Moe::Gating::kSoftmax) {
        for (int e = 0; e < moe.experts; ++e) dscores[e] -= s[e] * common;
      } else {
        for (size_t r = 0; r < active; ++r) dscores[chosen[r]] -= weights[r] * common;
      }
    }
  }
}

// dscores [experts] += by_share [experts], the gradients of a token's probabilities: s / sum of s where gating is
// kSigmoid, else softmax(r).
template <class Number>
void probabilities_backward(const Moe& moe, const Number* s, const Number* by_share, Number* dscores) {
  std::vector<Number> p(s, s + moe.experts);
  if (moe.gating == Moe::Gating::kSoftmaxChosen) softmax(p.data(), moe.experts);
  const Number sum = std::accumulate(p.begin(), p.end(), Number{0}),
               common = std::inner_product(p.begin(), p.end(), by_share, Number{0}) / sum;
  for (size_t e = 0; e < p.size(); ++e) {
    const Number slope = moe.gating == Moe::Gating::kSigmoid ? p[e] * (1 - p[e]) / sum : p[e];
    dscores[e] += slope * (by_share[e] - common);
  }
}

// The weights of the chosen experts [tokens, active]. `scores` become their s.
template <class AnyExecutor>
Tensor choose(AnyExecutor& executor, const Moe& moe, const Tensor& scores, ExpertRows& rows) {
  const int tokens = scores.rows();
  Tensor weights = executor.make(tokens, moe.active);
  rows.chosen.resize(static_cast<size_t>(tokens * moe.active));
  executor.for_rows(tokens, [&](int t) {
    choose_experts(moe, executor.data(scores) + t * moe.experts, rows.chosen.data() + t * moe.active,
                   executor.data(weights) + t * moe.active);
  });
  rows.sort(moe.experts, moe.active);
  return weights;
}

template <class AnyExecutor>
void record_choice(AnyExecutor& executor, const Moe& moe, const Tensor& scores, const Tensor& weights,
                   std::shared_ptr<const ExpertRows> rows) {
  using Number = typename AnyExecutor::Number;
  on_tape(executor, {&scores}, {}, [&](auto& tape) {
    tape.record(weights, [&executor, &tape, moe, rows, s = tape.keep(scores), w = tape.node(weights)] {
      const Number *values = tape.values(s), *dw = tape.gradient(w);
      Number* ds = tape.gradient(s);
      // Balance: experts * sum over e of share_e * mean over tokens of p_e.
      std::vector<Number> by_share(static_cast<size_t>(moe.experts));
      const double factor = tape.balance() * moe.experts / static_cast<double>(rows->chosen.size()) / s.rows;
      for (size_t e = 0; e < by_share.size(); ++e)
        by_share[e] = static_cast<Number>(factor * static_cast<double>(rows->count(e)));
      executor.for_rows(s.rows, [&](int t) {
        const Number* of = values + t * moe.experts;
        weights_backward(moe, of, rows->chosen.data() + t * moe.active, dw + t * moe.active, ds + t * moe.experts);
        if (tape.balance() > 0) probabilities_backward(moe, of, by_share.data(), ds + t * moe.experts);
      });
    });
  });
}

// The rows of x that go to an expert.
template <class AnyExecutor>
Tensor gather(AnyExecutor& executor, const Tensor& x, const std::shared_ptr<const ExpertRows>& rows, size_t expert) {
  const int64_t width = x.cols();
  const int* tokens = rows->token_of.data() + rows->first[expert];
  Tensor y = executor.make(rows->count(expert), width);
  executor.for_rows(y.rows(), [&](int row) {
    std::copy_n(executor.data(x) + tokens[row] * width, width, executor.data(y) + row * width);
  });
  on_tape(executor, {&x}, {}, [&](auto& tape) {
    tape.record(y, [&executor, &tape, rows, tokens, x = tape.node(x), y = tape.node(y)] {
      const auto* dy = tape.gradient(y);
      auto* dx = tape.gradient(x);
      executor.for_rows(y.rows, [&](int row) {  // tokens are there once each
        auto* to = dx + tokens[row] * x.cols;
        for (int64_t i = 0; i < x.cols; ++i) to[i] += dy[row * x.cols + i];
      });
    });
  });
  return y;
}

template <class Number>
Number dot(const Number* a, const Number* b, int64_t n) {
  return std::inner_product(a, a + n, b, Number{0});
}

// The outputs of every token's experts, each times its weight.
template <class AnyExecutor>
Tensor weighted_sum(AnyExecutor& executor, const std::shared_ptr<const ExpertRows>& rows, const Tensor& weights,
                    const std::vector<Tensor>& outputs, int64_t width) {
  using Number = typename AnyExecutor::Number;
  const int64_t active = weights.cols();
  Tensor y = executor.make(weights.rows(), width);
  executor.for_rows(y.rows(), [&](int t) {
    Number* out = executor.data(y) + t * width;
    std::fill_n(out, width, Number{0});
    for (int64_t i = t * active; i < (t + 1) * active; ++i) {
      const Number weight = executor.data(weights)[i],
                   *from = executor.data(outputs[rows->expert(i)]) + rows->row(i) * width;
      for (int64_t c = 0; c < width; ++c) out[c] += weight * from[c];
    }
  });
  auto* tape = executor.tape();
  const bool recorded = tape != nullptr && (tape->reaches({&weights}) ||
                                            std::any_of(outputs.begin(), outputs.end(), [&](const Tensor& from) {
                                              return from.rows() > 0 && tape->reaches({&from});
                                            }));
  if (!recorded) return y;
  std::vector<Node> from;
  for (const Tensor& output : outputs) from.push_back(output.rows() > 0 ? tape->keep(output) : Node());
  tape->record(y, [&executor, tape, rows, active, from, w = tape->keep(weights), y = tape->node(y)] {
    const Number *dy = tape->gradient(y), *weight = tape->values(w);
    Number* dw = tape->gradient(w);
    std::vector<std::pair<const Number*, Number*>> of(from.size());  // values and gradients
    for (size_t e = 0; e < from.size(); ++e)
      if (from[e].rows > 0) of[e] = {tape->values(from[e]), tape->gradient(from[e])};
    executor.for_rows(y.rows, [&](int t) {
      const Number* by_y = dy + t * y.cols;
      for (int64_t i = t * active; i < (t + 1) * active; ++i) {
        const auto [values, gradient] = of[rows->expert(i)];
        const int64_t at = rows->row(i) * y.cols;
        dw[i] += dot(by_y, values + at, y.cols);
        for (int64_t c = 0; c < y.cols; ++c) gradient[at + c] += weight[i] * by_y[c];
      }
    });
  });
  return y;
}

// y [tokens, width] += sigmoid(scores [tokens, 1]) * x.
template <class AnyExecutor>
void add_shared(AnyExecutor& executor, const Tensor& scores, const Tensor& x, const Tensor& y) {
  using Number = typename AnyExecutor::Number;
  executor.for_rows(y.rows(), [&](int t) {
    const Number weight = sigmoid(executor.data(scores)[t]);
    for (int64_t i = t * y.cols(); i < (t + 1) * y.cols(); ++i) executor.data(y)[i] += weight * executor.data(x)[i];
  });
  on_tape(executor, {&scores, &x}, {}, [&](auto& tape) {
    tape.record(y, [&executor, &tape, scores = tape.keep(scores), x = tape.keep(x), y = tape.node(y)] {
      const Number* dy = tape.gradient(y);
      Number *dscores = tape.gradient(scores), *dx = tape.gradient(x);
      executor.for_rows(y.rows, [&](int t) {
        const Number weight = sigmoid(tape.values(scores)[t]);
        const int64_t begin = t * y.cols, end = begin + y.cols;
        dscores[t] += weight * (1 - weight) * dot(dy + begin, tape.values(x) + begin, y.cols);
        for (int64_t i = begin; i < end; ++i) dx[i] += weight * dy[i];
      });
    });
  });
}

// One expert's output for the rows x.
template <class AnyExecutor>
Tensor expert(AnyExecutor& executor, Glu glu, const Tensor& x, const std::array<Weight, 3>& gate_up_down,
              const std::array<Weight, 3>& biases) {
  Ops ops(executor);
  const auto& [gate, up, down] = gate_up_down;
  const Weight* weights[] = {&gate, &up};
  Tensor halves[2];
  ops.linear(x, weights, halves);
  for (size_t i = 0; i < 2; ++i)
    if (biases[i].given()) ops.add_bias(halves[i], biases[i]);
  Tensor y = ops.linear(gated(ops, glu, halves[0], halves[1]), down);
  if (biases[2].given()) ops.add_bias(y, biases[2]);
  return y;
}

template <class AnyExecutor>
Tensor compute_by_expert(AnyExecutor& executor, const Tensor& x, const Moe& moe) {
  Ops ops(executor);
  const std::array<Tensor, 2> scores = route(ops, x, moe);
  const auto rows = std::make_shared<ExpertRows>();
  const Tensor weights = choose(executor, moe, scores[0], *rows);
  if (OpsObserver* observer = executor.observer()) {
    const auto* of = executor.data(weights);
    observer->experts(moe, rows->chosen, std::vector<float>(of, of + rows->chosen.size()));
  }
  record_choice(executor, moe, scores[0], weights, rows);
  std::vector<Tensor> outputs(static_cast<size_t>(moe.experts));
  rows->each([&](int64_t e, int64_t, int) {
    const auto bias = [e](const Weight& biases) { return biases.given() ? biases.slice(e, 1) : Weight(); };
    const auto number = static_cast<size_t>(e);
    outputs[number] =
        expert(executor, moe.glu, gather(executor, x, rows, number), {moe.gate_of(e), moe.up_of(e), moe.down_of(e)},
               {bias(moe.gate_bias), bias(moe.up_bias), bias(moe.down_bias)});
  });
  Tensor y = weighted_sum(executor, rows, weights, outputs, x.cols());
  if (!moe.shared_gate.given()) return y;
  const Tensor shared = expert(executor, moe.glu, x, {moe.shared_gate, moe.shared_up, moe.shared_down}, {});
  if (moe.shared_router.given()) add_shared(executor, scores[1], shared, y);
  else ops.add(y, shared);
  return y;
}

}  // namespace

Tensor Ops::moe(const Tensor& x, const Moe& moe) {
  const OpScope scope(executor_, "moe", moe.router.name);
  return executor_.visit([&](auto& executor) {
    return by_expert(executor, x, moe) ? compute_by_expert(executor, x, moe) : compute(executor, x, moe);
  });
}

}  // namespace fieldprint
