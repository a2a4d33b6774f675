// How the learning rate goes over a training: a linear warm-up, then cosine or linear down to a floor, or constant.
#pragma once

#include <cstdint>
#include <string_view>

namespace fieldprint {

enum class Decay { kConstant, kLinear, kCosine };
Decay decay_of(std::string_view name);  // "constant", "linear", "cosine". Throws Error kUsage

struct Schedule {
  double peak = 1e-4;
  double floor = 0;    // what linear and cosine would reach one step after the last
  int64_t warmup = 0;  // steps: step i of them has peak * i / warmup
  int64_t steps = 0;   // of the whole training
  Decay decay = Decay::kConstant;
};

// Of step 1 .. steps.
double learning_rate(const Schedule& schedule, int64_t step);

}  // namespace fieldprint
