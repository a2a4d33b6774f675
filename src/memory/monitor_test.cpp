#include "memory/monitor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace fieldprint::memory {
namespace {

TEST(Monitor, DistanceAndWayBackOnTheSphere) {
  const std::vector<float> x{1, 0, 0}, p{0, 2, 0};
  EXPECT_NEAR(sphere_distance(x, p), M_PI / 2, 1e-12);
  EXPECT_EQ(sphere_distance(x, x), 0);
  std::mt19937_64 random(1);
  std::normal_distribution<float> normal;
  for (int i = 0; i < 100; ++i) {
    std::vector<float> a(16), b(16);
    for (float& value : a) value = normal(random);
    for (float& value : b) value = normal(random);
    const auto v = log_map(a, b);
    double square = 0, along = 0;
    for (size_t k = 0; k < v.size(); ++k) square += v[k] * v[k], along += v[k] * a[k];
    EXPECT_NEAR(std::sqrt(square), sphere_distance(a, b), 1e-9);
    EXPECT_NEAR(along, 0, 1e-6) << "a tangent at x";
  }
}

TEST(Monitor, DivergenceIsZeroForEqualsAndOneBitForStrangers) {
  const std::vector<float> a{0, 1, 2}, far_left{100, 0, 0}, far_right{0, 0, 100};
  EXPECT_NEAR(js_divergence(a, a), 0, 1e-12);
  EXPECT_NEAR(js_divergence(far_left, far_right), 1, 1e-9);
  EXPECT_EQ(js_divergence(a, far_left), js_divergence(far_left, a));
}

TEST(Monitor, FitsTheProcessThatMadeTheSeries) {
  const double kappa = 0.3, sigma = 0.2, mean = 1.4;
  std::mt19937_64 random(3);
  std::normal_distribution<double> normal;
  const double slope = std::exp(-kappa), noise = sigma * std::sqrt((1 - slope * slope) / (2 * kappa));
  std::vector<double> series{mean};
  for (int i = 0; i < 50000; ++i) series.push_back(mean + slope * (series.back() - mean) + noise * normal(random));
  const auto fit = fit_reversion(series);
  ASSERT_TRUE(fit);
  EXPECT_NEAR(fit->kappa, kappa, 0.02);
  EXPECT_NEAR(fit->sigma, sigma, 0.005);
  EXPECT_NEAR(fit->mean, mean, 0.01);
  EXPECT_TRUE(fit->holds());
  std::vector<double> walk{0};
  for (int i = 0; i < 200; ++i) walk.push_back(walk.back() + 1);
  EXPECT_FALSE(fit_reversion(walk));
}

// The stated rate of false alarms, at a bound that can be waited for: 1,000 boundaries.
TEST(Monitor, AlarmsAsRarelyAsItSaysAndSoonWhereItMust) {
  std::mt19937_64 random(4);
  std::normal_distribution<double> normal(1.5, 0.02);
  std::vector<double> good(4000);
  for (double& value : good) value = normal(random);
  const Calibration calibration(good);
  int alarms = 0;
  const int boundaries = 200000;
  DriftMonitor monitor(calibration, 1000);
  for (int i = 0; i < boundaries; ++i) {
    if (!monitor.observe(normal(random)).alarm) continue;
    ++alarms;
    monitor = DriftMonitor(calibration, 1000);
  }
  EXPECT_GT(alarms, boundaries / 1000 / 2);
  EXPECT_LT(alarms, boundaries / 1000 * 2);
  DriftMonitor strict(calibration);
  int waited = 0;
  while (!strict.observe(1.5 + 0.02 + 0.02 * (normal(random) - 1.5) / 0.02).alarm) ++waited;  // one sigma off
  EXPECT_LT(waited, 100);
}

}  // namespace
}  // namespace fieldprint::memory
