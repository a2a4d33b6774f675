// weight_t * (log sum of e^logits_t - logits_t[target_t]): what training makes small.
#include <algorithm>
#include <vector>

#include "ops/backward.h"
#include "ops/ops.h"

namespace fieldprint {
namespace {

// log of the sum of e^x over a row, in float64 whatever the row is in.
template <class Number>
double log_sum(const Number* x, int64_t n) {
  const Number largest = *std::max_element(x, x + n);
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(exp_of(x[i] - largest));
  return static_cast<double>(largest) + log_f64(sum);
}

template <class AnyExecutor>
Tensor compute(AnyExecutor& executor, const Tensor& logits, std::span<const TokenId> targets,
               std::span<const float> weights, std::vector<double>& log_sums) {
  Tensor y = executor.make(logits.rows(), 1);
  log_sums.resize(static_cast<size_t>(logits.rows()));
  executor.for_rows(logits.rows(), [&](int t) {
    const auto at = static_cast<size_t>(t);
    const auto* row = executor.data(logits) + t * logits.cols();
    log_sums[at] = log_sum(row, logits.cols());
    const double loss = log_sums[at] - static_cast<double>(row[targets[at]]);
    executor.data(y)[t] =
        static_cast<typename AnyExecutor::Number>(weights[at] == 0 ? 0 : static_cast<double>(weights[at]) * loss);
  });
  return y;
}

// dlogits = dy * weight * (softmax(logits) - 1 at the target)
template <class AnyExecutor>
void record(AnyExecutor& executor, const Tensor& logits, std::span<const TokenId> targets,
            std::span<const float> weights, std::vector<double> log_sums, const Tensor& y) {
  using Number = typename AnyExecutor::Number;
  on_tape(executor, {&logits}, {}, [&](auto& tape) {
    tape.record(y, [&executor, &tape, logits = tape.keep(logits), y = tape.node(y), log_sums = std::move(log_sums),
                    targets = std::vector(targets.begin(), targets.end()),
                    weights = std::vector(weights.begin(), weights.end())] {
      const Number* dy = tape.gradient(y);
      Number* dx = tape.gradient(logits);
      executor.for_rows(logits.rows, [&](int t) {
        const auto at = static_cast<size_t>(t);
        const Number factor = dy[t] * static_cast<Number>(weights[at]);
        if (factor == 0) return;
        const Number* x = tape.values(logits) + t * logits.cols;
        Number* to = dx + t * logits.cols;
        for (int64_t i = 0; i < logits.cols; ++i)
          to[i] += factor * exp_of(static_cast<Number>(static_cast<double>(x[i]) - log_sums[at]));
        to[targets[at]] -= factor;
      });
    });
  });
}

}  // namespace

Tensor Ops::cross_entropy(const Tensor& logits, std::span<const TokenId> targets, std::span<const float> weights) {
  const OpScope scope(executor_, "cross_entropy");
  return executor_.visit([&](auto& executor) {
    std::vector<double> log_sums;
    Tensor y = compute(executor, logits, targets, weights, log_sums);
    record(executor, logits, targets, weights, std::move(log_sums), y);
    return y;
  });
}

}  // namespace fieldprint
