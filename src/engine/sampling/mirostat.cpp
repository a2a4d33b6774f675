// Mirostat 2.0 (Basu et al. 2021): drops the tokens of more than mu bits of surprise, -log2 p; after the draw mu moves
// by eta towards the surprise tau that is aimed at. It takes the place of all stages that cut.
#include <cmath>

#include "base/math.h"
#include "engine/sampling/stage.h"

namespace fieldprint {
namespace {

double bits(double probability) { return -log_f64(probability) / 0.69314718055994530942; }

class Mirostat final : public SamplerStage {
 public:
  explicit Mirostat(const SamplingOptions& o)
      : tau_(static_cast<double>(o.mirostat_tau)), eta_(static_cast<double>(o.mirostat_eta)), mu_(2 * tau_) {}

  void apply(Candidates& candidates, std::span<const TokenId>, SamplerState&) override {
    const double total = candidates.total_weight();
    const auto kept = [&](size_t rank) {
      const double weight = candidates.weight(candidates.best(rank));
      return weight > 0 && bits(weight / total) <= mu_;
    };
    size_t count = 1;
    while (count < candidates.size() && kept(count)) ++count;
    candidates.keep_best(count);
  }

  void chosen(TokenId, SamplerState& state) override { mu_ -= eta_ * (bits(state.probability) - tau_); }

 private:
  double tau_, eta_, mu_;
};

bool on(const SamplingOptions& o) { return o.mirostat != 0; }

void check(const SamplingOptions& o, const SamplerModel&) {
  require_sampling(o.mirostat == 0 || o.mirostat == 2, "mirostat", static_cast<float>(o.mirostat), "0 (off) or 2");
  require_sampling(o.mirostat_tau >= 0 && std::isfinite(o.mirostat_tau), "mirostat tau", o.mirostat_tau, "0 or more");
  require_sampling(o.mirostat_eta >= 0 && o.mirostat_eta <= 1, "mirostat eta", o.mirostat_eta, "0 to 1");
}

std::unique_ptr<SamplerStage> make(const SamplingOptions& options, const SamplerModel&) {
  return std::make_unique<Mirostat>(options);
}

}  // namespace

SamplerStageRow mirostat_stage() { return {"mirostat", SamplerStageRow::Kind::kDraw, false, on, check, make}; }

}  // namespace fieldprint
