// Locally typical sampling (Meister et al. 2022): keeps the tokens whose surprise -ln p is nearest to the entropy H, up
// to the first with which their probabilities sum to P. Ties go to the likelier, then to the lower token.
#include <algorithm>
#include <cmath>
#include <tuple>
#include <vector>

#include "base/math.h"
#include "engine/sampling/stage.h"

namespace fieldprint {
namespace {

void apply(const SamplingOptions& o, Candidates& candidates, SamplerState&) {
  const double total = candidates.total_weight();
  if (!(total > 0)) return;  // every candidate is banned
  struct Typical {
    double distance, p;
    TokenId token;
  };
  std::vector<Typical> order;
  double entropy = 0;
  for (const Candidate& c : candidates.all()) {
    const double p = candidates.weight(c) / total;
    if (p <= 0) continue;
    order.push_back({-log_f64(p), p, c.token});
    entropy += p * order.back().distance;
  }
  for (Typical& t : order) t.distance = std::abs(t.distance - entropy);
  std::sort(order.begin(), order.end(), [](const Typical& a, const Typical& b) {
    return std::tuple(a.distance, -a.p, a.token) < std::tuple(b.distance, -b.p, b.token);
  });
  double sum = 0;
  std::vector<TokenId> kept;
  for (const Typical& t : order) {
    kept.push_back(t.token);
    if ((sum += t.p) >= static_cast<double>(o.typical_p)) break;
  }
  std::sort(kept.begin(), kept.end());
  candidates.keep_if([&](const Candidate& c) { return std::binary_search(kept.begin(), kept.end(), c.token); });
}

bool on(const SamplingOptions& o) { return o.typical_p < 1; }

void check(const SamplingOptions& o, const SamplerModel&) {
  require_sampling(o.typical_p > 0 && o.typical_p <= 1, "typical-p", o.typical_p, "more than 0, at most 1 (off)");
}

}  // namespace

SamplerStageRow typical_p_stage() {
  return {"typ_p", SamplerStageRow::Kind::kCut, true, on, check, make_plain_stage<apply>};
}

}  // namespace fieldprint
