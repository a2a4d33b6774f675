#include "engine/sampler.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/math.h"
#include "fieldprint/error.h"

namespace fieldprint {

Sampler::Sampler(const SamplingOptions& options, int vocabulary)
    : options_(options), rng_(options.seed), counts_(static_cast<size_t>(vocabulary)) {
  const auto require = [](bool ok, const char* what, auto value, const char* range) {
    if (!ok) throw Error(ErrorKind::kUsage, fmt::format("{} is {}, expected {}", what, value, range));
  };
  require(options.temperature >= 0 && std::isfinite(options.temperature), "temperature", options.temperature,
          "0 or more");
  require(options.top_k >= 0, "top-k", options.top_k, "0 (off) or more");
  require(options.top_p > 0 && options.top_p <= 1, "top-p", options.top_p, "more than 0, at most 1 (off)");
  require(options.min_p >= 0 && options.min_p <= 1, "min-p", options.min_p, "0 (off) to 1");
  require(options.repetition_penalty > 0 && std::isfinite(options.repetition_penalty), "repetition penalty",
          options.repetition_penalty, "more than 0; 1 is off");
  require(options.penalty_window >= -1, "penalty window", options.penalty_window, "-1 (all) or more");
  require(std::isfinite(options.presence_penalty), "presence penalty", options.presence_penalty, "a number");
  require(std::isfinite(options.frequency_penalty), "frequency penalty", options.frequency_penalty, "a number");
  for (const auto& [token, bias] : options.logit_bias) {
    require(token >= 0 && token < vocabulary, "a logit bias's token", token, "one of the vocabulary");
    require(!std::isnan(bias), "a logit bias", bias, "a number");
  }
}

TokenId Sampler::sample(std::span<const float> logits, std::span<const TokenId> history) {
  logits_.assign(logits.begin(), logits.end());
  for (const auto& [token, bias] : options_.logit_bias) logits_[static_cast<size_t>(token)] += bias;

  if (options_.repetition_penalty != 1 || options_.presence_penalty != 0 || options_.frequency_penalty != 0) {
    const auto window = options_.penalty_window < 0
                            ? history.size()
                            : std::min(history.size(), static_cast<size_t>(options_.penalty_window));
    const auto recent = history.last(window);
    for (const TokenId token : recent) ++counts_[static_cast<size_t>(token)];
    for (const TokenId token : recent) {
      int& count = counts_[static_cast<size_t>(token)];
      if (count == 0) continue;  // met before
      float& logit = logits_[static_cast<size_t>(token)];
      logit = logit > 0 ? logit / options_.repetition_penalty : logit * options_.repetition_penalty;
      logit -= options_.presence_penalty + options_.frequency_penalty * static_cast<float>(count);
      count = 0;
    }
  }

  if (options_.temperature == 0) {
    return static_cast<TokenId>(std::max_element(logits_.begin(), logits_.end()) - logits_.begin());
  }

  candidates_.clear();
  for (size_t i = 0; i < logits_.size(); ++i) candidates_.push_back({logits_[i], static_cast<TokenId>(i)});
  const auto better = [](const Candidate& a, const Candidate& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
  };
  const size_t keep =
      options_.top_k > 0 ? std::min(candidates_.size(), static_cast<size_t>(options_.top_k)) : candidates_.size();
  if (keep < candidates_.size()) {
    std::nth_element(candidates_.begin(), candidates_.begin() + static_cast<std::ptrdiff_t>(keep), candidates_.end(),
                     better);
    candidates_.resize(keep);
  }
  const float top = std::min_element(candidates_.begin(), candidates_.end(), better)->logit;

  // top-p (Holtzman et al. 2020) and min-p (Nguyen et al. 2024) look at the probabilities before the temperature. The
  // best are taken from a heap one by one: rarely are more than a few hundred needed.
  double total = 0;
  for (const Candidate& c : candidates_) total += exp_f64(static_cast<double>(c.logit - top));
  const auto worse = [&](const Candidate& a, const Candidate& b) { return better(b, a); };
  std::make_heap(candidates_.begin(), candidates_.end(), worse);
  auto end = candidates_.end();
  double cumulative = 0;
  while (end != candidates_.begin()) {
    const double p = exp_f64(static_cast<double>(candidates_.front().logit - top));
    if (end != candidates_.end() && p < static_cast<double>(options_.min_p)) break;
    std::pop_heap(candidates_.begin(), end--, worse);
    cumulative += p;
    if (options_.top_p < 1 && cumulative >= static_cast<double>(options_.top_p) * total) break;
  }

  // The chosen stand at the back, the best last.
  weights_.clear();
  double sum = 0;
  for (auto c = candidates_.end(); c != end;) {
    --c;
    sum += exp_f64(static_cast<double>(c->logit - top) / static_cast<double>(options_.temperature));
    weights_.push_back(sum);
  }
  const double target = rng_.uniform() * sum;
  const auto chosen = std::min<size_t>(
      static_cast<size_t>(std::upper_bound(weights_.begin(), weights_.end(), target) - weights_.begin()),
      weights_.size() - 1);
  return (candidates_.end() - 1 - static_cast<std::ptrdiff_t>(chosen))->token;
}

}  // namespace fieldprint
