// Nucleus sampling (Holtzman et al. 2020): keeps the likeliest up to the first with which they sum to P.
#include "engine/sampling/stage.h"

namespace fieldprint {
namespace {

void apply(const SamplingOptions& o, Candidates& candidates, SamplerState&) {
  const double wanted = static_cast<double>(o.top_p) * candidates.total_weight();
  double sum = 0;
  size_t count = 0;
  while (count < candidates.size() && (count == 0 || sum < wanted)) sum += candidates.weight(candidates.best(count++));
  candidates.keep_best(count);
}

bool on(const SamplingOptions& o) { return o.top_p < 1; }

void check(const SamplingOptions& o, const SamplerModel&) {
  require_sampling(o.top_p > 0 && o.top_p <= 1, "top-p", o.top_p, "more than 0, at most 1 (off)");
}

}  // namespace

SamplerStageRow top_p_stage() {
  return {"top_p", SamplerStageRow::Kind::kCut, true, on, check, make_plain_stage<apply>};
}

}  // namespace fieldprint
