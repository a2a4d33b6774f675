// weight_t * (log sum of e^logits_t - logits_t[target_t]): what training makes small.
#include <algorithm>
#include <memory>
#include <type_traits>
#include <vector>

#include "ops/backward.h"
#include "ops/ops.h"
#include "ops/reference_executor.h"
#include "ops/run_executor.h"

namespace fieldprint {
namespace {

// Of each row of logits: e^(x - the largest x), and their sum. A row begins at `stride` times its number.
template <class Number>
struct Exponentials {
  int64_t stride = 0;
  std::vector<Number> values;  // empty where nobody asks for gradients
  std::vector<double> largest, sums;
};

// The kernel of attention's softmax makes the exponentials, kTileKeys at a time; a row's tiles are summed in order.
void exponentials(RunExecutor& run, const Tensor& logits, bool keep, Exponentials<float>& made) {
  const int64_t n = logits.cols(), tiles = (n + kTileKeys - 1) / kTileKeys;
  const int rows = logits.rows();
  made.stride = tiles * kTileKeys;
  if (keep) made.values.resize(static_cast<size_t>(rows * made.stride));
  // A few rows together, as the kernel likes them.
  const auto block = static_cast<int>(std::clamp<int64_t>(64 / tiles, 1, 16));
  run.pool().run((rows + block - 1) / block, [&](int64_t piece, int) {
    const int begin = static_cast<int>(piece) * block, end = std::min(rows, begin + block);
    const auto count = static_cast<size_t>((end - begin) * tiles);
    std::vector<float> own(keep ? 0 : count * kTileKeys);
    float* to = keep ? made.values.data() + begin * made.stride : own.data();
    std::vector<int> seen(count, kTileKeys);
    const std::vector<float> scale(count, 1.0f);
    std::vector<SoftmaxState> states(count);
    for (int t = begin; t < end; ++t) {
      const float* row = run.data(logits) + t * n;
      std::copy_n(row, n, to + (t - begin) * made.stride);
      const auto first = static_cast<size_t>((t - begin) * tiles);
      const float largest = *std::max_element(row, row + n);
      made.largest[static_cast<size_t>(t)] = static_cast<double>(largest);
      for (size_t i = first; i < first + static_cast<size_t>(tiles); ++i) states[i].m = largest;
      seen[first + static_cast<size_t>(tiles) - 1] = static_cast<int>(n - (tiles - 1) * kTileKeys);
    }
    run.kernels().softmax_rows({.scores = to,
                                .seen = seen.data(),
                                .scale = scale.data(),
                                .state = states.data(),
                                .o = nullptr,
                                .rows = static_cast<int>(count),
                                .d = 0});
    for (int t = begin; t < end; ++t) {
      double sum = 0;
      for (int64_t i = (t - begin) * tiles; i < (t - begin + 1) * tiles; ++i)
        sum += static_cast<double>(states[static_cast<size_t>(i)].l);
      made.sums[static_cast<size_t>(t)] = sum;
    }
  });
}

void exponentials(ReferenceExecutor& reference, const Tensor& logits, bool, Exponentials<double>& made) {
  const int64_t n = made.stride = logits.cols();
  made.values.resize(static_cast<size_t>(logits.rows() * n));
  for (int t = 0; t < logits.rows(); ++t) {
    const double* row = reference.data(logits) + t * n;
    double* to = made.values.data() + t * n;
    const auto at = static_cast<size_t>(t);
    made.largest[at] = *std::max_element(row, row + n);
    for (int64_t i = 0; i < n; ++i) made.sums[at] += to[i] = exp_of(row[i] - made.largest[at]);
  }
}

// weight * (log of the sum of e^x - x[target]), in float64 whatever the row is in.
template <class AnyExecutor, class Number>
Tensor compute(AnyExecutor& executor, const Tensor& logits, std::span<const TokenId> targets,
               std::span<const float> weights, Exponentials<Number>& made) {
  const auto rows = static_cast<size_t>(logits.rows());
  made.largest.resize(rows);
  made.sums.resize(rows);
  bool keep = false;
  on_tape(executor, {&logits}, {}, [&](auto&) { keep = true; });
  exponentials(executor, logits, keep, made);
  Tensor y = executor.make(logits.rows(), 1);
  for (size_t t = 0; t < rows; ++t) {
    const auto target = executor.data(logits)[static_cast<int64_t>(t) * logits.cols() + targets[t]];
    const double loss = made.largest[t] + log_f64(made.sums[t]) - static_cast<double>(target);
    executor.data(y)[t] = static_cast<Number>(weights[t] == 0 ? 0 : static_cast<double>(weights[t]) * loss);
  }
  return y;
}

// dlogits = dy * weight * (softmax(logits) - 1 at the target)
template <class AnyExecutor, class Number>
void record(AnyExecutor& executor, const Tensor& logits, std::span<const TokenId> targets,
            std::span<const float> weights, Exponentials<Number> made, const Tensor& y) {
  on_tape(executor, {&logits}, {}, [&](auto& tape) {
    const auto kept = std::make_shared<const Exponentials<Number>>(std::move(made));
    tape.record(y, [&executor, &tape, logits = tape.node(logits), y = tape.node(y), kept,
                    targets = std::vector(targets.begin(), targets.end()),
                    weights = std::vector(weights.begin(), weights.end())] {
      const Number* dy = tape.gradient(y);
      Number* dx = tape.gradient(logits);
      executor.for_rows(logits.rows, [&](int t) {
        const auto at = static_cast<size_t>(t);
        const Number factor = dy[t] * static_cast<Number>(weights[at]);
        if (factor == 0) return;
        const auto share = static_cast<Number>(static_cast<double>(factor) / kept->sums[at]);
        const Number* e = kept->values.data() + t * kept->stride;
        Number* to = dx + t * logits.cols;
        for (int64_t i = 0; i < logits.cols; ++i) to[i] += share * e[i];
        to[targets[at]] -= factor;
      });
    });
  });
}

}  // namespace

Tensor Ops::cross_entropy(const Tensor& logits, std::span<const TokenId> targets, std::span<const float> weights) {
  const OpScope scope(executor_, "cross_entropy");
  return executor_.visit([&](auto& executor) {
    using Number = typename std::remove_reference_t<decltype(executor)>::Number;
    Exponentials<Number> made;
    Tensor y = compute(executor, logits, targets, weights, made);
    record(executor, logits, targets, weights, std::move(made), y);
    return y;
  });
}

}  // namespace fieldprint
