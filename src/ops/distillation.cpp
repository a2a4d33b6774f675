// The divergence of a teacher's k likeliest tokens and the rest of its distribution from the student's. With z =
// logits / temperature, q = softmax(z), p the teacher's, and capital letters for what is left beside the k tokens:
//   y = weight * (sum over k of p (log p - log q) + P (log P - log Q))
#include <algorithm>
#include <cmath>
#include <vector>

#include "ops/backward.h"
#include "ops/ops.h"

namespace fieldprint {
namespace {

constexpr double kLeast = 1e-12;  // what a probability is taken for that rounding has made 0

// One row's two distributions.
struct Row {
  double log_sum = 0;             // of e^z
  double p_rest = 1, q_rest = 1;  // beside the k tokens
};

template <class Number>
Row row_of(const Number* logits, int64_t n, const TokenId* ids, int k, float tail, double inverse) {
  Row row;
  const double largest = static_cast<double>(*std::max_element(logits, logits + n)) * inverse;
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += exp_f64(static_cast<double>(logits[i]) * inverse - largest);
  row.log_sum = largest + log_f64(sum);
  for (int i = 0; i < k; ++i) {
    if (ids[i] != kNoToken) row.q_rest -= exp_f64(static_cast<double>(logits[ids[i]]) * inverse - row.log_sum);
  }
  row.p_rest = std::isfinite(tail) ? exp_f64(static_cast<double>(tail)) : 0;
  row.q_rest = std::max(row.q_rest, kLeast);
  return row;
}

template <class AnyExecutor>
Tensor compute(AnyExecutor& executor, const Tensor& logits, const TopTokens& teacher, std::span<const float> weights,
               float temperature, std::vector<Row>& rows) {
  Tensor y = executor.make(logits.rows(), 1);
  rows.resize(static_cast<size_t>(logits.rows()));
  const double inverse = 1 / static_cast<double>(temperature);
  executor.for_rows(logits.rows(), [&](int t) {
    const auto at = static_cast<size_t>(t);
    const auto* x = executor.data(logits) + t * logits.cols();
    const TokenId* ids = teacher.ids.data() + int64_t{t} * teacher.k;
    const float* logp = teacher.logp.data() + int64_t{t} * teacher.k;
    if (weights[at] == 0) {
      executor.data(y)[t] = 0;
      return;
    }
    const Row& row = rows[at] = row_of(x, logits.cols(), ids, teacher.k, teacher.tail[at], inverse);
    double loss = row.p_rest > kLeast ? row.p_rest * (log_f64(row.p_rest) - log_f64(row.q_rest)) : 0;
    for (int i = 0; i < teacher.k; ++i) {
      if (ids[i] == kNoToken || !std::isfinite(logp[i])) continue;  // p log p = 0
      const double log_p = static_cast<double>(logp[i]), log_q = static_cast<double>(x[ids[i]]) * inverse - row.log_sum;
      loss += exp_f64(log_p) * (log_p - log_q);
    }
    executor.data(y)[t] = static_cast<typename AnyExecutor::Number>(static_cast<double>(weights[at]) * loss);
  });
  return y;
}

// dz = q - p at the k tokens, and q (1 - P / Q) at the others: dlogits = dy * weight * dz / temperature.
template <class AnyExecutor>
void record(AnyExecutor& executor, const Tensor& logits, const TopTokens& teacher, std::span<const float> weights,
            float temperature, std::vector<Row> rows, const Tensor& y) {
  using Number = typename AnyExecutor::Number;
  on_tape(executor, {&logits}, {}, [&](auto& tape) {
    tape.record(y, [&executor, &tape, logits = tape.keep(logits), y = tape.node(y), rows = std::move(rows),
                    k = teacher.k, ids = std::vector(teacher.ids.begin(), teacher.ids.end()),
                    logp = std::vector(teacher.logp.begin(), teacher.logp.end()),
                    weights = std::vector(weights.begin(), weights.end()), temperature] {
      const Number* dy = tape.gradient(y);
      Number* dx = tape.gradient(logits);
      const double inverse = 1 / static_cast<double>(temperature);
      executor.for_rows(logits.rows, [&](int t) {
        const auto at = static_cast<size_t>(t);
        const double factor = static_cast<double>(dy[t]) * static_cast<double>(weights[at]) * inverse;
        if (factor == 0) return;
        const Number* x = tape.values(logits) + t * logits.cols;
        Number* to = dx + t * logits.cols;
        const Row& row = rows[at];
        const double share = row.p_rest / row.q_rest;
        const auto q_of = [&](int64_t i) { return exp_f64(static_cast<double>(x[i]) * inverse - row.log_sum); };
        const TokenId* top = ids.data() + int64_t{t} * k;
        const float* top_logp = logp.data() + int64_t{t} * k;
        // Those of the k tokens are put back first: added and taken away again, what is added to the rest would leave
        // its rounding there, which is large where Q is small.
        std::vector<Number> before(static_cast<size_t>(k));
        for (int i = 0; i < k; ++i) {
          if (top[i] != kNoToken) before[static_cast<size_t>(i)] = to[top[i]];
        }
        for (int64_t i = 0; i < logits.cols; ++i) to[i] += static_cast<Number>(factor * q_of(i) * (1 - share));
        for (int i = 0; i < k; ++i) {
          if (top[i] == kNoToken) continue;
          const double p = std::isfinite(top_logp[i]) ? exp_f64(static_cast<double>(top_logp[i])) : 0;
          to[top[i]] = before[static_cast<size_t>(i)] + static_cast<Number>(factor * (q_of(top[i]) - p));
        }
      });
    });
  });
}

}  // namespace

Tensor Ops::distillation(const Tensor& logits, const TopTokens& teacher, std::span<const float> weights,
                         float temperature) {
  const OpScope scope(executor_, "distillation");
  return executor_.visit([&](auto& executor) {
    std::vector<Row> rows;
    Tensor y = compute(executor, logits, teacher, weights, temperature, rows);
    record(executor, logits, teacher, weights, temperature, std::move(rows), y);
    return y;
  });
}

}  // namespace fieldprint
