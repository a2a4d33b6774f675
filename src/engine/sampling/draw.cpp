// One of the candidates by chance, each with its probability: the first, in order of likelihood, whose sum exceeds u.
#include <algorithm>
#include <vector>

#include "engine/sampling/stage.h"

namespace fieldprint {
namespace {

class Draw final : public SamplerStage {
 public:
  void apply(Candidates& candidates, std::span<const TokenId>, SamplerState& state) override {
    sums_.clear();
    double sum = 0;
    for (size_t rank = 0; rank < candidates.size(); ++rank)
      sums_.push_back(sum += candidates.weight(candidates.best(rank)));
    const auto above = std::upper_bound(sums_.begin(), sums_.end(), state.rng.uniform() * sum);
    // Rounding may make the product the sum itself; then it is the last that has a weight.
    const auto chosen = above != sums_.end() ? above : std::lower_bound(sums_.begin(), sums_.end(), sum);
    const auto rank = static_cast<size_t>(chosen - sums_.begin());
    state.probability = candidates.weight(candidates.best(rank)) / sum;
    candidates.drop_best(rank);
    candidates.keep_best(1);
  }

 private:
  std::vector<double> sums_;  // of weights up to each rank
};

bool on(const SamplingOptions&) { return true; }
void check(const SamplingOptions&, const SamplerModel&) {}

std::unique_ptr<SamplerStage> make(const SamplingOptions&, const SamplerModel&) { return std::make_unique<Draw>(); }

}  // namespace

SamplerStageRow draw_stage() { return {"draw", SamplerStageRow::Kind::kDraw, false, on, check, make}; }

}  // namespace fieldprint
