// Keeps the k likeliest (Fan et al. 2018).
#include "engine/sampling/stage.h"

namespace fieldprint {
namespace {

void apply(const SamplingOptions& o, Candidates& candidates, SamplerState&) {
  candidates.keep_top(static_cast<size_t>(o.top_k));
}

bool on(const SamplingOptions& o) { return o.top_k != 0; }

void check(const SamplingOptions& o, const SamplerModel&) {
  require_sampling(o.top_k >= 0, "top-k", static_cast<float>(o.top_k), "0 (off) or more");
}

}  // namespace

SamplerStageRow top_k_stage() {
  return {"top_k", SamplerStageRow::Kind::kCut, true, on, check, make_plain_stage<apply>};
}

}  // namespace fieldprint
