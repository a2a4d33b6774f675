// What `transformers` reads in config.json, keys left out and all: tests/golden/make_transformers_configs.py.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "fieldprint/error.h"
#include "make/json_file.h"
#include "models/architecture.h"
#include "models/rope.h"
#include "support/paths.h"

namespace fieldprint {
namespace {

using nlohmann::json;

TEST(TransformersConfig, IsReadAsTransformersReadsIt) {
  std::ifstream lines(golden_dir() / "transformers_configs.jsonl");
  int count = 0, refused = 0, further = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    const json one = json::parse(line), &wanted = one["read"];
    SCOPED_TRACE(one["config"].dump());
    const JsonFile config = JsonFile::parse(one["config"].dump(), "config.json");
    if (wanted.is_null()) {
      ++refused;
      EXPECT_THROW((void)read_config(config), Error);
      continue;
    }
    const auto [row, hp, type] = read_config(config);
    std::vector<int> kv_heads;
    for (const LayerPlan& layer : hp.plan) {
      kv_heads.push_back(layer.kv_heads);
      EXPECT_EQ(layer.ffn, wanted["ffn"]);
    }
    EXPECT_EQ(kv_heads, wanted["kv_heads"].get<std::vector<int>>());
    EXPECT_EQ(hp.head_dim, wanted["head_dim"]);
    EXPECT_EQ(hp.eps, wanted["eps"].get<float>());
    EXPECT_EQ(hp.context, wanted["context"]);
    EXPECT_EQ(hp.tied, wanted["tied"]);
    EXPECT_EQ(hp.rope.base, wanted["rope_base"]);
    EXPECT_EQ(hp.rope.factor, wanted["rope_factor"]);
    const auto divisors = wanted["rope_divisors"].get<std::vector<float>>();
    ASSERT_EQ(hp.rope.divisors.size(), divisors.size());
    for (size_t i = 0; i < divisors.size(); ++i) EXPECT_NEAR(hp.rope.divisors[i], divisors[i], 1e-5f * divisors[i]);
    EXPECT_EQ(hp.experts, wanted["experts"]);
    EXPECT_EQ(hp.experts_used, wanted["experts_used"]);
    EXPECT_EQ(hp.expert_ffn, wanted["expert_ffn"]);
    EXPECT_EQ(hp.dense_layers, std::min(hp.layers, wanted["dense_layers"].get<int>()));
    EXPECT_EQ(hp.conv_taps, wanted["conv_taps"]);
    if (!wanted.contains("inverse_frequency")) {
      EXPECT_EQ(hp.rope.dims, hp.head_dim);
      continue;
    }
    ++further;
    const Rope rope = make_rope(hp.rope, hp.context, RopePairs::kHalves);
    const auto frequencies = wanted["inverse_frequency"].get<std::vector<double>>();
    ASSERT_EQ(rope.inverse_frequency.size(), frequencies.size());
    for (size_t i = 0; i < frequencies.size(); ++i)
      EXPECT_NEAR(rope.inverse_frequency[i], frequencies[i], 1e-12 * frequencies[i]);
    EXPECT_NEAR(rope.magnitude, wanted["magnitude"], 1e-12);
    const auto scale = [&](size_t i) {
      return wanted["scales"][i].is_null() ? 1.0f : wanted["scales"][i].get<float>();
    };
    EXPECT_EQ(hp.embedding_scale, scale(0));
    EXPECT_EQ(hp.residual_scale, scale(1));
    EXPECT_EQ(hp.attention_scale.has_value(), !wanted["scales"][2].is_null());
    EXPECT_EQ(hp.attention_scale.value_or(1), scale(2));
    EXPECT_EQ(hp.logit_scale, scale(3));
    EXPECT_EQ(hp.shared_ffn, wanted["shared_ffn"]);
    for (size_t i = 0; i < hp.plan.size(); ++i) EXPECT_EQ(hp.plan[i].rope, wanted["rope_layers"][i] == 1) << i;
  }
  EXPECT_EQ(count, 600);
  EXPECT_EQ(further, 200);
  EXPECT_GT(refused, 10);
}

}  // namespace
}  // namespace fieldprint
