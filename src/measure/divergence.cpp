#include "measure/divergence.h"

#include <algorithm>
#include <cmath>

#include "engine/likelihood.h"

namespace fieldprint {

// sum_i p_i (log p_i - log q_i), p the base made to add up to 1 again, q = softmax(logits).
void DivergenceSum::add(const KlPosition& base, std::span<const float> logits, double nll) {
  const double sum_q = log_sum_exp(logits);
  double sum_p = 0, difference = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    const auto p = static_cast<double>(std::exp(base.logs[i]));
    sum_p += p;
    difference += p * (static_cast<double>(base.logs[i]) - static_cast<double>(logits[i]));
  }
  const double divergence = std::max(difference / sum_p - std::log(sum_p) + sum_q, 0.0);
  divergences_.push_back(divergence);
  divergence_.add(divergence);
  const double delta = std::exp(-nll) - std::exp(base.target);
  delta_p_.add(delta);
  delta_p_squared_.add(delta * delta);
  log_ratio_.add(nll + base.target);
  base_nll_ -= base.target;
  same_top_ += std::max_element(logits.begin(), logits.end()) - logits.begin() == base.top ? 1 : 0;
}

double DivergenceSum::mean(const Moments& moments) const {
  return moments.sum / static_cast<double>(divergences_.size());
}

double DivergenceSum::error(const Moments& moments) const {
  const auto n = static_cast<double>(divergences_.size());
  const double variance = moments.squares / n - mean(moments) * mean(moments);
  return n > 1 ? std::sqrt(std::max(variance, 0.0) / (n - 1)) : 0;
}

Divergence DivergenceSum::means() const {
  Divergence d;
  const auto n = static_cast<double>(divergences_.size());
  d.mean = mean(divergence_);
  d.mean_error = error(divergence_);
  d.same_top = static_cast<double>(same_top_) / n;
  d.same_top_error = n > 1 ? std::sqrt(d.same_top * (1 - d.same_top) / (n - 1)) : 0;
  d.delta_p = mean(delta_p_);
  d.delta_p_error = error(delta_p_);
  d.delta_p_rms = std::sqrt(mean(delta_p_squared_));
  d.delta_p_rms_error = d.delta_p_rms > 0 ? error(delta_p_squared_) / (2 * d.delta_p_rms) : 0;
  d.base_perplexity = std::exp(base_nll_ / n);
  d.ratio = std::exp(mean(log_ratio_));
  d.ratio_error = d.ratio * error(log_ratio_);
  return d;
}

Divergence DivergenceSum::result() const {
  Divergence d = means();
  std::vector<double> sorted = divergences_;
  std::sort(sorted.begin(), sorted.end());
  const auto percentile = [&](double share) {  // between the two nearest
    const double at = share * static_cast<double>(sorted.size() - 1);
    const auto below = static_cast<size_t>(at), above = std::min(below + 1, sorted.size() - 1);
    const double part = at - static_cast<double>(below);
    return sorted[below] * (1 - part) + sorted[above] * part;
  };
  d.median = percentile(0.5);
  d.p90 = percentile(0.9);
  d.p95 = percentile(0.95);
  d.p99 = percentile(0.99);
  d.p999 = percentile(0.999);
  d.max = sorted.back();
  return d;
}

}  // namespace fieldprint
