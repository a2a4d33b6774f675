// Divides the logits by a temperature T. Dynamic temperature (Zhu et al. 2024, "EDT"; as kalomaze's pull request 4972
// of llama.cpp has it) makes T a number between T - range and T + range, by how even the probabilities are: T - range +
// 2 range (H / ln n)^exponent, H their entropy and n the number of candidates.
#include <cmath>

#include "base/math.h"
#include "engine/sampling/stage.h"

namespace fieldprint {
namespace {

// H / ln n, from 0 to 1; banned candidates do not count.
double evenness(Candidates& candidates) {
  const double total = candidates.total_weight();
  double entropy = 0, count = 0;
  for (const Candidate& c : candidates.all()) {
    const double p = candidates.weight(c) / total;
    if (p > 0) entropy -= p * log_f64(p);
    if (c.logit > -INFINITY) ++count;
  }
  return count > 1 ? entropy / log_f64(count) : 0;
}

void apply(const SamplingOptions& o, Candidates& candidates, SamplerState&) {
  constexpr double kLeast = 1e-6;  // nearly the likeliest alone
  double temperature = static_cast<double>(o.temperature);
  if (o.dynamic_temperature_range > 0) {
    const double least = std::max(0.0, temperature - static_cast<double>(o.dynamic_temperature_range));
    const double most = temperature + static_cast<double>(o.dynamic_temperature_range);
    const double even = evenness(candidates);
    const auto exponent = static_cast<double>(o.dynamic_temperature_exponent);
    const double power = even > 0 ? exp_f64(exponent * log_f64(even)) : exponent > 0 ? 0.0 : 1.0;
    temperature = std::max(kLeast, least + (most - least) * power);
  }
  candidates.divide(temperature);
}

bool on(const SamplingOptions&) { return true; }

void check(const SamplingOptions& o, const SamplerModel&) {
  require_sampling(o.temperature >= 0 && std::isfinite(o.temperature), "temperature", o.temperature, "0 or more");
  require_sampling(o.dynamic_temperature_range >= 0 && std::isfinite(o.dynamic_temperature_range),
                   "dynamic temperature range", o.dynamic_temperature_range, "0 (off) or more");
  require_sampling(o.dynamic_temperature_exponent >= 0 && std::isfinite(o.dynamic_temperature_exponent),
                   "dynamic temperature exponent", o.dynamic_temperature_exponent, "0 or more");
}

}  // namespace

SamplerStageRow temperature_stage() {
  return {"temperature", SamplerStageRow::Kind::kDraw, true, on, check, make_plain_stage<apply>};
}

}  // namespace fieldprint
