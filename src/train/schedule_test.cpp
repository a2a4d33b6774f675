#include "train/schedule.h"

#include <gtest/gtest.h>

#include <cmath>

#include "fieldprint/error.h"

namespace fieldprint {
namespace {

TEST(TrainSchedule, WarmsUpAndEndsAtItsFloor) {
  for (const char* name : {"linear", "cosine"}) {
    SCOPED_TRACE(name);
    const Schedule schedule{.peak = 1, .floor = 0.1, .warmup = 4, .steps = 24, .decay = decay_of(name)};
    EXPECT_DOUBLE_EQ(learning_rate(schedule, 1), 0.25);
    EXPECT_DOUBLE_EQ(learning_rate(schedule, 3), 0.75);
    EXPECT_DOUBLE_EQ(learning_rate(schedule, 4), 1);
    EXPECT_GT(learning_rate(schedule, 24), 0.1) << "every step moves";
    EXPECT_NEAR(learning_rate(schedule, 25), 0.1, 1e-12);
    EXPECT_NEAR(learning_rate(schedule, 100), 0.1, 1e-12);  // whoever goes on does so at the floor
    for (int step = 5; step <= 24; ++step) EXPECT_LT(learning_rate(schedule, step), learning_rate(schedule, step - 1));
  }
}

TEST(TrainSchedule, HasItsShapes) {
  Schedule schedule{.peak = 2, .floor = 0, .warmup = 0, .steps = 8, .decay = Decay::kLinear};
  for (int step = 1; step <= 8; ++step) EXPECT_DOUBLE_EQ(learning_rate(schedule, step), 2 - (step - 1) / 4.0);
  schedule.decay = Decay::kCosine;
  for (int step = 1; step <= 8; ++step)
    EXPECT_NEAR(learning_rate(schedule, step), 1 + std::cos(M_PI * (step - 1) / 8), 1e-12);
  schedule.decay = Decay::kConstant;
  for (int step = 1; step <= 20; ++step) EXPECT_EQ(learning_rate(schedule, step), 2);
  schedule.warmup = 10;
  EXPECT_DOUBLE_EQ(learning_rate(schedule, 5), 1);
  EXPECT_DOUBLE_EQ(learning_rate(schedule, 10), 2);
}

TEST(TrainSchedule, OfWarmUpAloneNeverFalls) {
  const Schedule schedule{.peak = 1, .floor = 0, .warmup = 8, .steps = 8, .decay = Decay::kCosine};
  EXPECT_DOUBLE_EQ(learning_rate(schedule, 7), 0.875);
  EXPECT_DOUBLE_EQ(learning_rate(schedule, 8), 1);
}

TEST(TrainSchedule, OfOneStepHasAllOfIt) {
  for (const char* name : {"constant", "linear", "cosine"})
    EXPECT_EQ(learning_rate({.peak = 1, .floor = 0, .warmup = 0, .steps = 1, .decay = decay_of(name)}, 1), 1) << name;
}

TEST(TrainSchedule, KnowsItsNames) { EXPECT_THROW((void)decay_of("exponential"), Error); }

}  // namespace
}  // namespace fieldprint
