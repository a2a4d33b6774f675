// Tokens that the window shows lose likelihood. The repetition penalty (Keskar et al. 2019, "CTRL") divides a positive
// logit and multiplies a negative one; then presence takes off a constant and frequency as much for each time it is
// there, as OpenAI's API has the two.
#include <cmath>
#include <utility>

#include "engine/sampling/stage.h"

namespace fieldprint {
namespace {

class Penalties final : public SamplerStage {
 public:
  Penalties(const SamplingOptions& options, const SamplerModel& model)
      : options_(options), counts_(static_cast<size_t>(model.vocabulary)) {}

  void apply(Candidates& candidates, std::span<const TokenId> history, SamplerState&) override {
    const auto recent = last_tokens(history, options_.penalty_window);
    const auto vocabulary = static_cast<TokenId>(counts_.size());
    for (const TokenId token : recent) {
      if (token < vocabulary) ++counts_[static_cast<size_t>(token)];
    }
    for (const TokenId token : recent) {
      if (token >= vocabulary) continue;  // padding of the embedding: never a candidate
      const int count = std::exchange(counts_[static_cast<size_t>(token)], 0);
      float* const logit = count > 0 ? candidates.find(token) : nullptr;  // 0: met before
      if (logit == nullptr) continue;
      *logit = *logit > 0 ? *logit / options_.repetition_penalty : *logit * options_.repetition_penalty;
      *logit -= options_.presence_penalty + options_.frequency_penalty * static_cast<float>(count);
    }
  }

 private:
  const SamplingOptions& options_;
  std::vector<int> counts_;  // [vocabulary], how often the window has it; zero between calls
};

bool on(const SamplingOptions& o) {
  return o.repetition_penalty != 1 || o.presence_penalty != 0 || o.frequency_penalty != 0;
}

void check(const SamplingOptions& o, const SamplerModel&) {
  require_sampling(o.repetition_penalty > 0 && std::isfinite(o.repetition_penalty), "repetition penalty",
                   o.repetition_penalty, "more than 0; 1 is off");
  require_sampling(o.penalty_window >= -1, "penalty window", static_cast<float>(o.penalty_window), "-1 (all) or more");
  require_sampling(std::isfinite(o.presence_penalty), "presence penalty", o.presence_penalty, "a number");
  require_sampling(std::isfinite(o.frequency_penalty), "frequency penalty", o.frequency_penalty, "a number");
}

std::unique_ptr<SamplerStage> make(const SamplingOptions& options, const SamplerModel& model) {
  return std::make_unique<Penalties>(options, model);
}

}  // namespace

SamplerStageRow penalties_stage() { return {"penalties", SamplerStageRow::Kind::kLogits, true, on, check, make}; }

}  // namespace fieldprint
