#include "engine/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "fieldprint/error.h"

namespace fieldprint {
namespace {

const std::vector<float> kLogits = {1.0f, 3.0f, 2.0f, -1.0f, 2.5f};

std::map<TokenId, int> draw(const SamplingOptions& options, int times = 20000, std::vector<float> logits = kLogits) {
  Sampler sampler(options, {static_cast<int>(logits.size())});
  std::map<TokenId, int> counts;
  for (int i = 0; i < times; ++i) ++counts[sampler.sample(logits, {})];
  return counts;
}

SamplingOptions plain() {
  SamplingOptions o;
  o.temperature = 1;
  o.top_k = 0;
  o.top_p = 1;
  o.min_p = 0;
  return o;
}

TEST(Sampler, GreedyTakesTheFirstOfTheBest) {
  SamplingOptions options;
  options.temperature = 0;
  EXPECT_EQ(Sampler(options, {5}).sample(kLogits, {}), 1);
  EXPECT_EQ(Sampler(options, {3}).sample(std::vector<float>{2, 2, 1}, {}), 0);
}

TEST(Sampler, FrequenciesFollowTheSoftmax) {
  for (const float temperature : {0.5f, 1.0f, 2.0f}) {
    auto options = plain();
    options.temperature = temperature;
    const auto counts = draw(options);
    double total = 0;
    for (const float l : kLogits) total += std::exp(l / temperature);
    for (size_t i = 0; i < kLogits.size(); ++i) {
      const double p = std::exp(kLogits[i] / temperature) / total;
      const auto found = counts.find(static_cast<TokenId>(i));
      const double got = found == counts.end() ? 0 : found->second / 20000.0;
      EXPECT_NEAR(got, p, 4 * std::sqrt(p * (1 - p) / 20000.0) + 1e-9) << i << " at " << temperature;
    }
  }
}

TEST(Sampler, TopKTopPMinPCutTheTail) {
  auto options = plain();
  options.top_k = 2;
  EXPECT_EQ(draw(options).size(), 2u);
  options = plain();  // probabilities: 0.069 0.510 0.188 0.009 0.224... of e^l over the sum
  options.top_p = 0.5f;
  EXPECT_EQ(draw(options).size(), 2u);
  options.top_p = 0.1f;
  EXPECT_EQ(draw(options).size(), 1u);
  options = plain();
  options.min_p = 0.3f;  // e^-1 = 0.37 stays, e^-2 = 0.14 goes
  EXPECT_EQ(draw(options).size(), 3u);
  options.min_p = 1.0f;
  EXPECT_EQ(draw(options).size(), 1u);
}

TEST(Sampler, PenaltiesLookAtTheWindowOnly) {
  auto options = plain();
  options.temperature = 0;
  options.repetition_penalty = 2;
  options.penalty_window = 2;
  Sampler sampler(options, {5});
  EXPECT_EQ(sampler.sample(kLogits, std::vector<TokenId>{1, 0, 0}), 1) << "1 is outside the window";
  EXPECT_EQ(sampler.sample(kLogits, std::vector<TokenId>{0, 0, 1}), 4);
  EXPECT_EQ(sampler.sample(std::vector<float>{-1, -1.5f}, std::vector<TokenId>{0}), 1)
      << "negative logits are multiplied";

  options = plain();
  options.temperature = 0;
  options.frequency_penalty = 0.3f;
  options.penalty_window = -1;
  EXPECT_EQ(Sampler(options, {5}).sample(kLogits, std::vector<TokenId>{1, 3, 3, 3}), 1);
  EXPECT_EQ(Sampler(options, {5}).sample(kLogits, std::vector<TokenId>{1, 1}), 4);
  options.frequency_penalty = 0;
  options.presence_penalty = 0.4f;
  EXPECT_EQ(Sampler(options, {5}).sample(kLogits, std::vector<TokenId>{1, 1}), 1);
  options.presence_penalty = 0.6f;
  EXPECT_EQ(Sampler(options, {5}).sample(kLogits, std::vector<TokenId>{1, 1}), 4);
}

TEST(Sampler, BiasIsAddedToTheLogit) {
  auto options = plain();
  options.temperature = 0;
  options.logit_bias = {{3, 10.0f}};
  EXPECT_EQ(Sampler(options, {5}).sample(kLogits, {}), 3);
  options.logit_bias = {{1, -INFINITY}};
  EXPECT_EQ(Sampler(options, {5}).sample(kLogits, {}), 4);
}

TEST(Sampler, TheSeedDecides) {
  auto options = plain();
  const auto sequence = [&](uint64_t seed) {
    options.seed = seed;
    Sampler sampler(options, {5});
    std::vector<TokenId> out;
    for (int i = 0; i < 50; ++i) out.push_back(sampler.sample(kLogits, {}));
    return out;
  };
  EXPECT_EQ(sequence(1), sequence(1));
  EXPECT_NE(sequence(1), sequence(2));
}

TEST(Sampler, RefusesSenselessOptions) {
  const auto with = [](auto change) {
    SamplingOptions options;
    change(options);
    return options;
  };
  for (const SamplingOptions& options :
       {with([](auto& o) { o.temperature = -1; }), with([](auto& o) { o.temperature = NAN; }),
        with([](auto& o) { o.top_k = -1; }), with([](auto& o) { o.top_p = 0; }), with([](auto& o) { o.top_p = 1.5f; }),
        with([](auto& o) { o.min_p = 2; }), with([](auto& o) { o.repetition_penalty = 0; }),
        with([](auto& o) { o.penalty_window = -2; }), with([](auto& o) {
          o.logit_bias = {{5, 1.0f}};
        }),
        with([](auto& o) {
          o.logit_bias = {{0, NAN}};
        })}) {
    EXPECT_THROW(Sampler(options, {5}), Error);
  }
}

}  // namespace
}  // namespace fieldprint
