// XTC, "exclude top choices" (p-e-w 2024, text-generation-webui pull request 6335): by chance, for each token anew,
// drops all tokens of at least the threshold's probability but the least likely of them.
#include "engine/sampling/stage.h"

namespace fieldprint {
namespace {

void apply(const SamplingOptions& o, Candidates& candidates, SamplerState& state) {
  if (state.rng.uniform() >= static_cast<double>(o.xtc_probability)) return;
  const double least = static_cast<double>(o.xtc_threshold) * candidates.total_weight();
  const auto above = [&](size_t rank) {
    const double weight = candidates.weight(candidates.best(rank));
    return weight >= least && weight > 0;
  };
  size_t count = 0;
  while (count < candidates.size() && above(count)) ++count;
  if (count > 1) candidates.drop_best(count - 1);
}

bool on(const SamplingOptions& o) { return o.xtc_probability > 0 && o.xtc_threshold <= 0.5f; }

void check(const SamplingOptions& o, const SamplerModel&) {
  require_sampling(o.xtc_probability >= 0 && o.xtc_probability <= 1, "XTC probability", o.xtc_probability,
                   "0 (off) to 1");
  require_sampling(o.xtc_threshold >= 0 && o.xtc_threshold <= 1, "XTC threshold", o.xtc_threshold, "0 to 1");
}

}  // namespace

SamplerStageRow xtc_stage() { return {"xtc", SamplerStageRow::Kind::kCut, true, on, check, make_plain_stage<apply>}; }

}  // namespace fieldprint
