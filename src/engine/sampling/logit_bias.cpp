// Adds to the logits of chosen tokens, or bans them.
#include <cmath>

#include "engine/sampling/stage.h"

namespace fieldprint {
namespace {

void apply(const SamplingOptions& o, Candidates& candidates, SamplerState&) {
  for (const auto& [token, bias] : o.logit_bias) *candidates.find(token) += bias;
}

bool on(const SamplingOptions& o) { return !o.logit_bias.empty(); }

void check(const SamplingOptions& o, const SamplerModel& model) {
  for (const auto& [token, bias] : o.logit_bias) {
    require_sampling(token >= 0 && token < model.vocabulary, "a logit bias's token", static_cast<float>(token),
                     "one of the vocabulary");
    require_sampling(bias < INFINITY, "a logit bias", bias, "a number, or -inf to ban the token");
  }
}

}  // namespace

SamplerStageRow logit_bias_stage() {
  return {"logit_bias", SamplerStageRow::Kind::kLogits, false, on, check, make_plain_stage<apply>};
}

}  // namespace fieldprint
