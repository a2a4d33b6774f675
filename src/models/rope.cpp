#include "models/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/math.h"

namespace fieldprint {
namespace {

// How much of each pair's frequency YaRN keeps: 1 for the fast ones, 0 for the slow ones. Between which pairs it blends
// is rounded to whole ones, as in the authors' code.
std::vector<double> kept_by_yarn(const RopeSettings& s) {
  const auto pair_of = [&](double turns) {  // that turns so often in the original context
    return s.dims * log_f64(s.original_context / (turns * 2 * std::numbers::pi)) / (2 * log_f64(s.base));
  };
  const double first = std::max(0.0, std::floor(pair_of(s.beta_fast)));
  const double last = std::min(s.dims - 1.0, std::ceil(pair_of(s.beta_slow)));
  std::vector<double> kept;
  for (int i = 0; i < s.dims / 2; ++i)
    kept.push_back(1 - std::clamp((i - first) / std::max(0.001, last - first), 0.0, 1.0));
  return kept;
}

}  // namespace

double yarn_magnitude(double factor) { return factor > 1 ? 1 + 0.1 * log_f64(factor) : 1; }

double long_rope_magnitude(double factor, int original_context) {
  return factor > 1 ? std::sqrt(1 + log_f64(factor) / log_f64(original_context)) : 1;
}

Rope make_rope(const RopeSettings& settings, int context, RopePairs pairs) {
  const bool yarn = settings.scaling == RopeScaling::kYarn;
  const std::vector<double> kept = yarn ? kept_by_yarn(settings) : std::vector<double>();
  const std::vector<float>& divisors = settings.scaling != RopeScaling::kLongRope ? settings.divisors
                                       : context > settings.original_context      ? settings.long_divisors
                                                                                  : settings.short_divisors;
  Rope rope;
  rope.pairs = pairs;
  rope.magnitude = settings.magnitude * (yarn ? yarn_magnitude(settings.factor) : 1);
  for (int i = 0; i < settings.dims / 2; ++i) {
    const double frequency = exp_f64(-2.0 * i / settings.dims * log_f64(settings.base));
    const double divisor = divisors.empty() ? 1.0 : static_cast<double>(divisors[static_cast<size_t>(i)]);
    const double scaled = frequency / settings.factor / divisor;
    const double keep = yarn ? kept[static_cast<size_t>(i)] : 0;
    rope.inverse_frequency.push_back(scaled * (1 - keep) + frequency * keep);
  }
  return rope;
}

}  // namespace fieldprint
