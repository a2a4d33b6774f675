// Mixture of experts: the router's scores become a choice and weights (Moe in ops.h), each token goes to its
// experts, and their outputs are summed.
#include <algorithm>
#include <array>
#include <cmath>
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

// The experts of one token and their weights [moe.active], in order of choice. `scores` [moe.experts] are the router's;
// overwritten.
template <class Number>
void choose_experts(const Moe& moe, Number* scores, int* chosen, Number* weights) {
  if (moe.router_bias.given()) {
    for (int e = 0; e < moe.experts; ++e) scores[e] += static_cast<Number>(moe.router_bias.floats()[e]);
  }
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
  return scores;
}

// The choices of all tokens, sorted by expert: one row for each, those of an expert together, so that its weights are
// read once for all its tokens.
struct ExpertRows {
  std::vector<int> chosen;     // [tokens, active]
  std::vector<float> weights;  // [tokens, active]
  std::vector<int> row_of;     // [tokens, active]
  std::vector<int> expert_of;  // [tokens * active]  of each row
  std::vector<int> first;      // [experts + 1]  rows of expert e: first[e] .. first[e + 1] - 1
  std::vector<int> next;

  void sort(int experts) {
    first.assign(static_cast<size_t>(experts) + 1, 0);
    for (const int e : chosen) ++first[static_cast<size_t>(e) + 1];
    for (size_t e = 0; e < static_cast<size_t>(experts); ++e) first[e + 1] += first[e];
    row_of.resize(chosen.size());
    next = first;
    expert_of.resize(chosen.size());
    for (size_t i = 0; i < chosen.size(); ++i) {
      row_of[i] = next[static_cast<size_t>(chosen[i])]++;
      expert_of[static_cast<size_t>(row_of[i])] = chosen[i];
    }
  }

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

  rows.sort(moe.experts);
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
  std::vector<int> chosen(static_cast<size_t>(moe.active));
  std::vector<double> weights(chosen.size());
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
    choose_experts(moe, reference.data(scores[0]) + t * moe.experts, chosen.data(), weights.data());
    for (size_t r = 0; r < chosen.size(); ++r) {
      const int64_t e = chosen[r];
      add(weights[r], moe.gate_of(e), moe.up_of(e), moe.down_of(e), e);
    }
    if (!moe.shared_gate.given()) continue;
    add(moe.shared_router.given() ? sigmoid(reference.data(scores[1])[t]) : 1.0, moe.shared_gate, moe.shared_up,
        moe.shared_down, -1);
  }
  return y;
}

}  // namespace

Tensor Ops::moe(const Tensor& x, const Moe& moe) {
  const OpScope scope(executor_, "moe", moe.router.name);
  return executor_.visit([&](auto& executor) { return compute(executor, x, moe); });
}

}  // namespace fieldprint
