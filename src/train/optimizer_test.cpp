#include "train/optimizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/rng.h"
#include "fieldprint/error.h"
#include "support/files.h"
#include "support/paths.h"

namespace fieldprint {
namespace {

using testing::HasSubstr;

// tests/golden/train/README.md
nlohmann::json golden() { return nlohmann::json::parse(slurp(golden_dir() / "train" / "optimizer.json")); }

TEST(TrainOptimizer, TakesTenStepsAsPyTorchDoes) {
  const nlohmann::json all = golden();
  ThreadPool pool(1);
  ASSERT_EQ(all["cases"].size(), 4u);
  for (const nlohmann::json& expected : all["cases"]) {
    const auto name = expected["name"].get<std::string>();
    SCOPED_TRACE(name + " " + std::to_string(expected["weight_decay"].get<double>()));
    OptimizerOptions options{.name = name, .weight_decay = expected["weight_decay"]};
    if (expected.contains("betas")) {
      options.beta1 = expected["betas"][0];
      options.beta2 = expected["betas"][1];
      options.eps = expected["eps"];
    } else {
      options.momentum = expected["momentum"];
    }
    auto values = all["start"].get<std::vector<float>>();
    const Parameter parameter{"w", values.data(), static_cast<int64_t>(values.size()), true};
    const auto optimizer = make_optimizer(options, {&parameter, 1});
    for (size_t step = 0; step < 10; ++step) {
      const auto gradients = all["gradients"][step].get<std::vector<float>>();
      optimizer->step({&parameter, 1}, gradients, static_cast<int64_t>(step) + 1, expected["lr"], pool);
      for (size_t i = 0; i < values.size(); ++i) {
        const double exact = expected["float64"][step][i], theirs = expected["float32"][step][i];
        EXPECT_NEAR(static_cast<double>(values[i]), exact, 1e-6 * std::max(1.0, std::abs(exact))) << step << " " << i;
        EXPECT_NEAR(static_cast<double>(values[i]), theirs, 5e-7 * std::max(1.0, std::abs(theirs))) << step << " " << i;
      }
    }
  }
}

TEST(TrainOptimizer, DecayIsForWhatDecays) {
  ThreadPool pool(1);
  for (const char* name : {"adamw", "sgd"}) {
    float matrix[2] = {1, -2}, norm[2] = {1, -2};
    const Parameter parameters[] = {{"matrix", matrix, 2, true}, {"norm", norm, 2, false}};
    const auto optimizer = make_optimizer({.name = name, .weight_decay = 0.5}, parameters);
    const std::vector<float> nothing(4);
    optimizer->step(parameters, nothing, 1, 0.1, pool);
    EXPECT_EQ(matrix[0], 0.95f) << name;
    EXPECT_EQ(matrix[1], -1.9f) << name;
    EXPECT_EQ(norm[0], 1) << name;
    EXPECT_EQ(norm[1], -2) << name;
  }
}

TEST(TrainOptimizer, HasTheSameBitsForAnyNumberOfThreads) {
  constexpr int64_t kCounts[] = {100'003, 1, 40'000};  // pieces that do not end where threads would
  const auto train = [&](const char* name, int threads) {
    ThreadPool pool(threads);
    Rng rng(7);
    std::vector<std::vector<float>> values;
    std::vector<Parameter> parameters;
    for (const int64_t count : kCounts) {
      for (float& value : values.emplace_back(static_cast<size_t>(count))) value = rng.normal();
    }
    for (auto& part : values) parameters.push_back({"w", part.data(), static_cast<int64_t>(part.size()), true});
    const auto optimizer = make_optimizer({.name = name, .momentum = 0.9, .weight_decay = 0.01}, parameters);
    std::vector<float> gradients(140'004);
    for (int step = 1; step <= 3; ++step) {
      for (float& gradient : gradients) gradient = rng.normal();
      optimizer->step(parameters, gradients, step, 1e-2, pool);
    }
    return values;
  };
  for (const char* name : {"adamw", "sgd"}) {
    const auto expected = train(name, 1);
    EXPECT_EQ(train(name, 2), expected) << name;
    EXPECT_EQ(train(name, 3), expected) << name;
  }
}

TEST(TrainOptimizer, KeepsOnlyWhatItNeeds) {
  float value = 0;
  const Parameter parameter{"w", &value, 1, true};
  EXPECT_EQ(make_optimizer({}, {&parameter, 1})->moments().size(), 2u);
  EXPECT_EQ(make_optimizer({.name = "sgd", .momentum = 0.5}, {&parameter, 1})->moments().size(), 1u);
  EXPECT_TRUE(make_optimizer({.name = "sgd"}, {&parameter, 1})->moments().empty());
}

TEST(TrainOptimizer, RefusesWhatMakesNoSense) {
  const auto said = [](const OptimizerOptions& options) { return refusal([&] { (void)make_optimizer(options, {}); }); };
  EXPECT_THAT(said({.name = "adam"}), HasSubstr("there is no optimiser 'adam'"));
  EXPECT_THAT(said({.beta1 = 1}), HasSubstr("below 1"));
  EXPECT_THAT(said({.beta2 = -0.1}), HasSubstr("at least 0"));
  EXPECT_THAT(said({.eps = 0}), HasSubstr("eps is above 0"));
  EXPECT_THAT(said({.momentum = NAN}), HasSubstr("momentum"));
  EXPECT_THAT(said({.weight_decay = INFINITY}), HasSubstr("decay"));
}

}  // namespace
}  // namespace fieldprint
