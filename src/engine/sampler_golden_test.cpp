// Token streams of the sampler over many combinations of options, as they were before its stages became a table: the
// same options, logits, history and seed give the same tokens for ever. FIELDPRINT_GOLDEN_UPDATE=1 writes the file
// anew.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "base/rng.h"
#include "base/sha256.h"
#include "engine/sampler.h"
#include "support/paths.h"

namespace fieldprint {
namespace {

constexpr int kCombinations = 400, kStreamTokens = 48;

struct Combination {
  SamplingOptions options;
  std::vector<float> logits;
  std::vector<TokenId> history;
};

Combination combination(int number) {
  Rng rng(static_cast<uint64_t>(number) * 7919 + 17);
  const auto one_of = [&](auto... values) {
    const std::common_type_t<decltype(values)...> all[] = {values...};
    return all[rng.below(sizeof...(values))];
  };
  Combination c;
  const int vocabulary = one_of(3, 32, 50, 1000, 4099);
  const float spread = one_of(0.01f, 1.0f, 2.5f, 6.0f, 40.0f);
  const bool ties = rng.below(3) == 0;
  for (int i = 0; i < vocabulary; ++i) {
    const float logit = spread * rng.normal();
    c.logits.push_back(ties ? std::round(2 * logit) / 2 : logit);
  }
  for (int i = 0; i < 100; ++i) c.history.push_back(static_cast<TokenId>(rng.below(std::min(vocabulary, 40))));
  SamplingOptions& o = c.options;
  o.temperature = one_of(0.0f, 0.001f, 0.2f, 0.8f, 0.8f, 1.0f, 1.7f, 1e6f);
  o.top_k = one_of(0, 0, 1, 2, 5, 40, 40, 5000);
  o.top_p = one_of(1.0f, 1.0f, 0.95f, 0.95f, 0.5f, 0.1f, 1e-6f);
  o.min_p = one_of(0.0f, 0.0f, 0.05f, 0.05f, 0.3f, 1.0f);
  o.repetition_penalty = one_of(1.0f, 1.0f, 1.1f, 1.9f, 0.8f);
  o.presence_penalty = one_of(0.0f, 0.0f, 0.5f, -0.4f);
  o.frequency_penalty = one_of(0.0f, 0.0f, 0.25f, -0.1f);
  o.penalty_window = one_of(64, 64, -1, 0, 7);
  for (int64_t i = 0, n = rng.below(4); i < n; ++i) {
    const float bias = one_of(1.5f, -2.0f, 100.0f, -INFINITY);
    o.logit_bias.emplace_back(static_cast<int32_t>(rng.below(vocabulary)), vocabulary > 3 ? bias : 0.5f);
  }
  o.seed = rng.next();
  return c;
}

std::string stream_hash(Combination c) {
  const auto vocabulary = c.logits.size();
  Sampler sampler(c.options, {static_cast<int>(vocabulary)});
  std::vector<float> logits(vocabulary);
  std::vector<TokenId> stream;
  for (size_t step = 0; step < kStreamTokens; ++step) {
    for (size_t i = 0; i < vocabulary; ++i) logits[i] = c.logits[(i + step * 31) % vocabulary];
    stream.push_back(sampler.sample(logits, c.history));
    c.history.push_back(stream.back());
  }
  return sha256_hex(std::as_bytes(std::span(stream))).substr(0, 16);
}

TEST(Sampler, StreamsAreThoseOfTheGoldenFile) {
  const auto path = golden_dir() / "sampler_streams.txt";
  if (std::getenv("FIELDPRINT_GOLDEN_UPDATE") != nullptr) {
    std::ofstream file(path);
    for (int i = 0; i < kCombinations; ++i) file << stream_hash(combination(i)) << "\n";
  }
  std::ifstream file(path);
  std::string golden;
  for (int i = 0; i < kCombinations; ++i) {
    ASSERT_TRUE(std::getline(file, golden)) << path;
    const SamplingOptions o = combination(i).options;
    EXPECT_EQ(stream_hash(combination(i)), golden) << fmt::format(
        "combination {}: temperature {}, top-k {}, top-p {}, min-p {}, penalties {} {} {} over {}, {} biases", i,
        o.temperature, o.top_k, o.top_p, o.min_p, o.repetition_penalty, o.presence_penalty, o.frequency_penalty,
        o.penalty_window, o.logit_bias.size());
  }
}

}  // namespace
}  // namespace fieldprint
