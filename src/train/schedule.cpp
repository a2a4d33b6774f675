#include "train/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <numbers>

#include "base/math.h"
#include "fieldprint/error.h"

namespace fieldprint {

Decay decay_of(std::string_view name) {
  if (name == "constant") return Decay::kConstant;
  if (name == "linear") return Decay::kLinear;
  if (name == "cosine") return Decay::kCosine;
  throw Error(ErrorKind::kUsage, fmt::format("there is no schedule '{}'", name), "",
              "there are constant, linear and cosine");
}

double learning_rate(const Schedule& schedule, int64_t step) {
  if (step < schedule.warmup) {
    return schedule.peak * static_cast<double>(step) / static_cast<double>(schedule.warmup);
  }
  if (schedule.decay == Decay::kConstant || schedule.steps <= schedule.warmup) return schedule.peak;
  const int64_t top = std::max<int64_t>(schedule.warmup, 1);  // the step of the peak
  const double way = std::min(1.0, static_cast<double>(step - top) / static_cast<double>(schedule.steps + 1 - top));
  if (schedule.decay == Decay::kLinear) return schedule.peak + (schedule.floor - schedule.peak) * way;
  double sine = 0, cosine = 0;
  sincos_f64(std::numbers::pi * way, &sine, &cosine);
  return schedule.floor + (schedule.peak - schedule.floor) * 0.5 * (1 + cosine);
}

}  // namespace fieldprint
