// Attention maps and expert choices: the run executor under the eyes of an observer, which evaluates the formula of the
// layer's kind (attention/kind.h) on what the walk was given.
#include "fieldprint/observe.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/finite.h"
#include "engine/loaded_model.h"
#include "fieldprint/error.h"
#include "ops/executors.h"
#include "ops/observer.h"

namespace fieldprint {
namespace {

class LayerObserver final : public OpsObserver {
 public:
  LayerObserver(int layer, int tokens, Observation& to)
      : layer_(layer), prefix_(fmt::format("blk.{}.", layer)), tokens_(tokens), to_(to) {}

  void attention(const AttendShape& shape, const float* q, const float* k, const float* r, int rows) override {
    if (shape.layer != layer_ || rows != tokens_) return;
    to_.heads = shape.heads;
    to_.attention.assign(static_cast<size_t>(shape.heads) * static_cast<size_t>(rows * rows), 0.0f);
    const int d = shape.head_dim, group = shape.heads / shape.kv_heads;
    for (int h = 0; h < shape.heads; ++h) {
      for (int t = 0; t < rows; ++t) {
        const int64_t at = (int64_t{t} * shape.heads + h) * d;
        float* row = to_.attention.data() + (int64_t{h} * rows + t) * rows;
        const int first = shape.window > 0 ? std::max(0, t + 1 - shape.window) : 0;
        for (int j = first; j <= t; ++j) {
          const float* key = k + (int64_t{j} * shape.kv_heads + h / group) * d;
          row[j] = shape.spec.scale * shape.spec.kind->formula_f32(q + at, r != nullptr ? r + at : nullptr, key, d);
          if (const float cap = shape.spec.softcap; cap > 0) row[j] = cap * std::tanh(row[j] / cap);
        }
        const float sink = shape.spec.sinks.empty() ? -INFINITY : shape.spec.sinks[static_cast<size_t>(h)];
        softmax(row + first, t + 1 - first, sink);
      }
    }
  }

  void experts(const Moe& moe, std::span<const int> chosen, std::span<const float> weights) override {
    if (!moe.router.name.starts_with(prefix_)) return;
    to_.experts = moe.experts;
    to_.active = moe.active;
    to_.chosen.assign(chosen.begin(), chosen.end());
    to_.expert_weights.assign(weights.begin(), weights.end());
  }

 private:
  // With one logit more, whose weight is dropped.
  static void softmax(float* x, int n, float sink = -INFINITY) {
    const float largest = std::max(*std::max_element(x, x + n), sink);
    double sum = static_cast<double>(std::exp(sink - largest));
    for (int i = 0; i < n; ++i) sum += static_cast<double>(x[i] = std::exp(x[i] - largest));
    for (int i = 0; i < n; ++i) x[i] = static_cast<float>(static_cast<double>(x[i]) / sum);
  }

  int layer_;
  std::string prefix_;  // of the layer's tensors
  int tokens_;
  Observation& to_;
};

}  // namespace

Observation observe(const Model& model, std::span<const TokenId> tokens, int layer) {
  const LoadedModel& own = loaded(model);
  const Hyperparameters& hp = own.architecture().hyperparameters();
  if (layer < 0 || layer >= hp.layers) {
    throw Error(ErrorKind::kUsage, fmt::format("there is no layer {}", layer), "--layer",
                fmt::format("the model has layers 0 to {}", hp.layers - 1));
  }
  if (tokens.empty()) throw Error(ErrorKind::kBadInput, "the text is empty");
  const int most = std::min(kMaxObserved, hp.context), count = static_cast<int>(tokens.size());
  if (count > most) {
    throw Error(ErrorKind::kLimit, fmt::format("{} tokens are too many for a picture of {} at most", count, most), {},
                "a shorter text");
  }
  for (const TokenId token : tokens) {
    if (token < 0 || token >= hp.vocabulary)
      throw Error(ErrorKind::kBadInput, fmt::format("token {} is not in the vocabulary of {}", token, hp.vocabulary));
  }
  Observation result;
  result.layers = hp.layers;
  LayerObserver observer(layer, count, result);
  std::unique_lock lock(own.step_mutex());
  const auto executor =
      make_executor("run", {.kernels = own.kernels(), .pool = own.pool(), .layers = hp.kv, .page_size = kTile});
  executor->observe(&observer);
  const auto sequence = executor->new_sequence();
  // All rows go to the end: else the last layer's experts would be those of the last token only.
  const StepSequence step{sequence.get(), 0, tokens, LogitRows::kAll, false};
  Ops ops(*executor);
  executor->begin({&step, 1});
  const bool finite = all_finite(executor->finish(own.architecture().forward(ops)));
  lock.unlock();
  if (!finite) throw not_finite_error({std::shared_ptr<const LoadedModel>(), &own}, {}, tokens);
  return result;
}

}  // namespace fieldprint
