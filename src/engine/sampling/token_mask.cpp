// Bans what the request's mask does not allow.
#include <limits>

#include "engine/sampling/stage.h"

namespace fieldprint {
namespace {

void apply(const SamplingOptions&, Candidates& candidates, SamplerState& state) {
  if (state.allowed == nullptr) return;
  candidates.change_all([&](TokenId token, float& logit) {
    if (!state.allowed->contains(token)) logit = -std::numeric_limits<float>::infinity();
  });
}

bool on(const SamplingOptions& o) { return static_cast<bool>(o.mask); }

void check(const SamplingOptions&, const SamplerModel&) {}

}  // namespace

SamplerStageRow token_mask_stage() {
  return {"token_mask", SamplerStageRow::Kind::kLogits, false, on, check, make_plain_stage<apply>};
}

}  // namespace fieldprint
