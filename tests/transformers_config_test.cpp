// What `transformers` reads in config.json, keys left out and all: tests/golden/make_transformers_configs.py.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "fieldprint/error.h"
#include "make/json_file.h"
#include "models/architecture.h"
#include "support/paths.h"

namespace fieldprint {
namespace {

using nlohmann::json;

TEST(TransformersConfig, IsReadAsTransformersReadsIt) {
  std::ifstream lines(golden_dir() / "transformers_configs.jsonl");
  int count = 0, refused = 0;
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
    EXPECT_EQ(hp.rope.dims, hp.head_dim);
    const auto divisors = wanted["rope_divisors"].get<std::vector<float>>();
    ASSERT_EQ(hp.rope.divisors.size(), divisors.size());
    for (size_t i = 0; i < divisors.size(); ++i) EXPECT_NEAR(hp.rope.divisors[i], divisors[i], 1e-5f * divisors[i]);
    EXPECT_EQ(hp.experts, wanted["experts"]);
    EXPECT_EQ(hp.experts_used, wanted["experts_used"]);
    EXPECT_EQ(hp.expert_ffn, wanted["expert_ffn"]);
    EXPECT_EQ(hp.dense_layers, std::min(hp.layers, wanted["dense_layers"].get<int>()));
    EXPECT_EQ(hp.conv_taps, wanted["conv_taps"]);
  }
  EXPECT_EQ(count, 400);
  EXPECT_GT(refused, 10);
}

}  // namespace
}  // namespace fieldprint
