#include "models/rope.h"

#include <gtest/gtest.h>

#include <cmath>

namespace fieldprint {
namespace {

RopeSettings settings_of(RopeScaling scaling) {
  RopeSettings settings;
  settings.dims = 64;
  settings.base = 150000;
  settings.scaling = scaling;
  settings.original_context = 4096;
  return settings;
}

// gpt-oss: pairs up to the 8th keep their frequency, from the 18th on it is a 32nd.
TEST(MakeRope, YarnKeepsFastPairsAndStretchesSlowOnes) {
  RopeSettings settings = settings_of(RopeScaling::kYarn);
  settings.factor = 32;
  const Rope rope = make_rope(settings, 131072, RopePairs::kHalves);
  ASSERT_EQ(rope.inverse_frequency.size(), 32u);
  for (size_t i = 0; i < 32; ++i) {
    const double plain = std::pow(150000.0, -static_cast<double>(i) / 32);
    const double kept = i <= 8 ? 1 : i >= 18 ? 0 : (18.0 - static_cast<double>(i)) / 10;
    EXPECT_NEAR(rope.inverse_frequency[i], plain * (kept + (1 - kept) / 32), 1e-12 * plain) << i;
  }
  EXPECT_NEAR(rope.magnitude, 1 + 0.1 * std::log(32.0), 1e-12);
  settings.magnitude = 0.5;
  EXPECT_NEAR(make_rope(settings, 131072, RopePairs::kHalves).magnitude, 0.5 + 0.05 * std::log(32.0), 1e-12);
}

TEST(MakeRope, LongRopeTakesItsDivisorsByTheContextOfTheModel) {
  RopeSettings settings = settings_of(RopeScaling::kLongRope);
  settings.long_divisors.assign(32, 4.0f);
  settings.short_divisors.assign(32, 2.0f);
  settings.magnitude = 1.25;
  EXPECT_EQ(make_rope(settings, 4096, RopePairs::kHalves).inverse_frequency[0], 0.5);
  EXPECT_EQ(make_rope(settings, 4097, RopePairs::kHalves).inverse_frequency[0], 0.25);
  EXPECT_EQ(make_rope(settings, 4097, RopePairs::kHalves).magnitude, 1.25);
  EXPECT_NEAR(long_rope_magnitude(32, 4096), 1.19, 0.001);  // Phi-3-mini-128k
  EXPECT_EQ(long_rope_magnitude(1, 4096), 1);
}

}  // namespace
}  // namespace fieldprint
