#include "train/optimizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cmath>

#include "fieldprint/error.h"

namespace fieldprint {
namespace {

constexpr int64_t kPiece = 16384;  // elements that a thread moves at once

int64_t count_of(std::span<const Parameter> parameters) {
  int64_t count = 0;
  for (const Parameter& parameter : parameters) count += parameter.count;
  return count;
}

// task(parameter, values, first, n) for pieces of all parameters, shared among the threads: `values` [n] begin at
// element `first` of all.
template <class Task>
void for_pieces(std::span<const Parameter> parameters, ThreadPool& pool, Task&& task) {
  struct Piece {
    const Parameter* parameter;
    int64_t begin, first;
  };
  std::vector<Piece> pieces;
  int64_t first = 0;
  for (const Parameter& parameter : parameters) {
    for (int64_t begin = 0; begin < parameter.count; begin += kPiece)
      pieces.push_back({&parameter, begin, first + begin});
    first += parameter.count;
  }
  pool.run(static_cast<int64_t>(pieces.size()), [&](int64_t i, int) {
    const Piece& piece = pieces[static_cast<size_t>(i)];
    task(*piece.parameter, piece.parameter->values + piece.begin, piece.first,
         std::min(kPiece, piece.parameter->count - piece.begin));
  });
}

// base^exponent, by the same operations on every machine.
double power(double base, int64_t exponent) {
  double result = 1;
  for (; exponent > 0; exponent >>= 1, base *= base) {
    if ((exponent & 1) != 0) result *= base;
  }
  return result;
}

// What remains of a parameter before its step.
float shrink(const Parameter& parameter, double learning_rate, double weight_decay) {
  return parameter.decays ? static_cast<float>(1 - learning_rate * weight_decay) : 1.0f;
}

// Adam with decoupled weight decay (Kingma & Ba 2015; Loshchilov & Hutter 2019):
//   w *= 1 - lr * decay
//   m += (1 - beta1) (g - m),  v = beta2 v + (1 - beta2) g^2
//   w -= lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps)
// The order of operations, and what is float32 of it, is PyTorch's (torch.optim.AdamW of one tensor).
class AdamW final : public Optimizer {
 public:
  AdamW(const OptimizerOptions& options, int64_t count)
      : options_(options), mean_(static_cast<size_t>(count)), square_(static_cast<size_t>(count)) {}

  void step(std::span<const Parameter> parameters, std::span<const float> gradients, int64_t step, double learning_rate,
            ThreadPool& pool) override {
    assert(step > 0 && gradients.size() == mean_.size() &&
           count_of(parameters) == static_cast<int64_t>(gradients.size()));
    const auto beta2 = static_cast<float>(options_.beta2), eps = static_cast<float>(options_.eps);
    const auto take1 = static_cast<float>(1 - options_.beta1), take2 = static_cast<float>(1 - options_.beta2);
    const auto rate = static_cast<float>(learning_rate / (1 - power(options_.beta1, step)));
    const auto bias = static_cast<float>(std::sqrt(1 - power(options_.beta2, step)));
    for_pieces(parameters, pool, [&](const Parameter& parameter, float* w, int64_t first, int64_t n) {
      const float keep = shrink(parameter, learning_rate, options_.weight_decay);
      const float* g = gradients.data() + first;
      float *m = mean_.data() + first, *v = square_.data() + first;
      for (int64_t i = 0; i < n; ++i) {
        m[i] += take1 * (g[i] - m[i]);
        v[i] = v[i] * beta2 + take2 * (g[i] * g[i]);
        w[i] = w[i] * keep - rate * (m[i] / (std::sqrt(v[i]) / bias + eps));
      }
    });
  }

  std::vector<std::pair<std::string, std::span<float>>> moments() override {
    return {{"mean", mean_}, {"square", square_}};
  }

 private:
  OptimizerOptions options_;
  std::vector<float> mean_, square_;  // of the gradients, as they went
};

// Gradient descent, with momentum (Polyak 1964): w *= 1 - lr * decay; m = momentum * m + g; w -= lr * m
class Sgd final : public Optimizer {
 public:
  Sgd(const OptimizerOptions& options, int64_t count) : options_(options) {
    if (options.momentum > 0) velocity_.resize(static_cast<size_t>(count));
  }

  void step(std::span<const Parameter> parameters, std::span<const float> gradients, int64_t, double learning_rate,
            ThreadPool& pool) override {
    assert(count_of(parameters) == static_cast<int64_t>(gradients.size()));
    const auto momentum = static_cast<float>(options_.momentum), rate = static_cast<float>(learning_rate);
    for_pieces(parameters, pool, [&](const Parameter& parameter, float* w, int64_t first, int64_t n) {
      const float keep = shrink(parameter, learning_rate, options_.weight_decay);
      const float* g = gradients.data() + first;
      if (!velocity_.empty()) {
        float* m = velocity_.data() + first;
        for (int64_t i = 0; i < n; ++i) m[i] = momentum * m[i] + g[i];
        g = m;
      }
      for (int64_t i = 0; i < n; ++i) w[i] = w[i] * keep - rate * g[i];
    });
  }

  std::vector<std::pair<std::string, std::span<float>>> moments() override {
    if (velocity_.empty()) return {};
    return {{"velocity", velocity_}};
  }

 private:
  OptimizerOptions options_;
  std::vector<float> velocity_;
};

void check(bool right, std::string_view what) {
  if (!right) throw Error(ErrorKind::kUsage, fmt::format("optimiser: {}", what));
}

}  // namespace

std::unique_ptr<Optimizer> make_optimizer(const OptimizerOptions& options, std::span<const Parameter> parameters) {
  const auto in_unit = [](double x) { return x >= 0 && x < 1; };
  check(in_unit(options.beta1) && in_unit(options.beta2), "beta1 and beta2 are at least 0 and below 1");
  check(options.eps > 0 && std::isfinite(options.eps), "eps is above 0");
  check(in_unit(options.momentum), "the momentum is at least 0 and below 1");
  check(options.weight_decay >= 0 && std::isfinite(options.weight_decay), "the weight decay is at least 0");
  if (options.name == "adamw") return std::make_unique<AdamW>(options, count_of(parameters));
  if (options.name == "sgd") return std::make_unique<Sgd>(options, count_of(parameters));
  throw Error(ErrorKind::kUsage, fmt::format("there is no optimiser '{}'", options.name), "",
              "there are adamw and sgd");
}

}  // namespace fieldprint
