// Min-p (Nguyen et al. 2024): drops what is less likely than P times the likeliest.
#include "engine/sampling/stage.h"

namespace fieldprint {
namespace {

void apply(const SamplingOptions& o, Candidates& candidates, SamplerState&) {
  size_t count = 1;
  while (count < candidates.size() && candidates.weight(candidates.best(count)) >= static_cast<double>(o.min_p))
    ++count;
  candidates.keep_best(count);
}

bool on(const SamplingOptions& o) { return o.min_p != 0; }

void check(const SamplingOptions& o, const SamplerModel&) {
  require_sampling(o.min_p >= 0 && o.min_p <= 1, "min-p", o.min_p, "0 (off) to 1");
}

}  // namespace

SamplerStageRow min_p_stage() {
  return {"min_p", SamplerStageRow::Kind::kCut, true, on, check, make_plain_stage<apply>};
}

}  // namespace fieldprint
