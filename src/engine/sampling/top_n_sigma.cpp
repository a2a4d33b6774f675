// Top-n-sigma (Tang et al. 2024, "Not all logits are you need"): keeps logits of at least max - n * sigma, their
// standard deviation over all candidates that are not banned.
#include <cmath>

#include "engine/sampling/stage.h"

namespace fieldprint {
namespace {

void apply(const SamplingOptions& o, Candidates& candidates, SamplerState&) {
  double sum = 0, squares = 0, count = 0;
  for (const Candidate& c : candidates.all()) {
    if (!std::isfinite(c.logit)) continue;
    sum += static_cast<double>(c.logit);
    ++count;
  }
  if (count == 0) return;
  const double mean = sum / count;
  for (const Candidate& c : candidates.all()) {
    const double distance = static_cast<double>(c.logit) - mean;
    if (std::isfinite(c.logit)) squares += distance * distance;
  }
  const double least =
      static_cast<double>(candidates.top()) - static_cast<double>(o.top_n_sigma) * std::sqrt(squares / count);
  candidates.keep_if([least](const Candidate& c) { return static_cast<double>(c.logit) >= least; });
}

bool on(const SamplingOptions& o) { return o.top_n_sigma != 0; }

void check(const SamplingOptions& o, const SamplerModel&) {
  require_sampling(o.top_n_sigma >= 0 && std::isfinite(o.top_n_sigma), "top-n-sigma", o.top_n_sigma, "0 (off) or more");
}

}  // namespace

SamplerStageRow top_n_sigma_stage() {
  return {"top_n_sigma", SamplerStageRow::Kind::kCut, true, on, check, make_plain_stage<apply>};
}

}  // namespace fieldprint
