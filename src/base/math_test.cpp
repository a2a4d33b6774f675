#include "base/math.h"

#include <gtest/gtest.h>

namespace fieldprint {
namespace {

TEST(Math, ExpF32WithinAnUlpAndAHalf) {
  double worst = 0;
  for (double x = -87.0; x <= 88.0; x += 1.7e-4) {
    const auto argument = static_cast<float>(x);
    const double exact = std::exp(static_cast<double>(argument));
    const double ulp = std::ldexp(1.0, std::ilogb(static_cast<float>(exact)) - 23);
    worst = std::max(worst, std::abs(exp_f32(argument) - exact) / ulp);
  }
  EXPECT_LT(worst, 1.1);
  RecordProperty("worst_ulp", std::to_string(worst));
}

TEST(Math, ExpF32Edges) {
  EXPECT_EQ(exp_f32(0.0f), 1.0f);
  EXPECT_EQ(exp_f32(-INFINITY), 0.0f);
  EXPECT_EQ(exp_f32(-100.0f), 0.0f);
  EXPECT_GT(exp_f32(INFINITY), 1e38f);
  EXPECT_TRUE(std::isnan(exp_f32(NAN)));
}

TEST(Math, DoublesAgreeWithLibm) {
  for (double x = -700; x < 700; x += 0.317) EXPECT_NEAR(exp_f64(x) / std::exp(x), 1.0, 2e-15) << x;
  for (double x = 1e-300; x < 1e300; x *= 1.9)
    EXPECT_NEAR(log_f64(x), std::log(x), 1e-15 * std::max(1.0, std::abs(std::log(x)))) << x;
  for (double x = -130000; x < 130000; x += 7.77) {
    double s = 0, c = 0;
    sincos_f64(x, &s, &c);
    EXPECT_NEAR(s, std::sin(x), 1e-15) << x;
    EXPECT_NEAR(c, std::cos(x), 1e-15) << x;
  }
}

}  // namespace
}  // namespace fieldprint
