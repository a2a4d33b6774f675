// config.json of models with layers of linear attention, with most keys left out: as transformers 5.24 reads them
// (AutoConfig.for_model).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "make/json_file.h"
#include "models/architecture.h"
#include "support/files.h"

namespace fieldprint {
namespace {

Hyperparameters read(const char* text) { return read_config(JsonFile::parse(text, "config.json")).hp; }

std::vector<int> linear_layers(const Hyperparameters& hp) {
  std::vector<int> all;
  for (int i = 0; i < hp.layers; ++i) {
    const LayerPlan& layer = hp.plan[static_cast<size_t>(i)];
    if (layer.mixer != Mixer::kAttention) all.push_back(i);
    EXPECT_EQ(layer.attention == nullptr, layer.mixer != Mixer::kAttention) << i;
  }
  return all;
}

TEST(HybridConfig, QwenWithoutAnyKey) {
  const Hyperparameters hp = read(R"({"model_type": "qwen3_5_text"})");
  EXPECT_EQ(hp.layers, 32);
  EXPECT_EQ(hp.width, 4096);
  EXPECT_EQ(hp.plan[3].ffn, 12288);
  EXPECT_EQ(hp.heads, 16);
  EXPECT_EQ(hp.plan[3].kv_heads, 4);
  EXPECT_EQ(hp.head_dim, 256);
  EXPECT_EQ(hp.vocabulary, 248320);
  EXPECT_EQ(hp.context, 32768);
  EXPECT_EQ(hp.eps, 1e-6f);
  EXPECT_FALSE(hp.tied);
  EXPECT_EQ(hp.rope.base, 10000);
  EXPECT_EQ(hp.rope.dims, 64);
  EXPECT_EQ(hp.conv_taps, 4);
  EXPECT_EQ(hp.linear_groups, 16);
  EXPECT_EQ(hp.linear_heads, 32);
  EXPECT_EQ(hp.linear_keys, 128);
  EXPECT_EQ(hp.linear_columns, 128);
  EXPECT_EQ(linear_layers(hp).size(), 24u);
}

TEST(HybridConfig, QwenWithExperts) {
  const Hyperparameters hp = read(R"({"model_type": "qwen3_5_moe_text", "num_hidden_layers": 6,
      "full_attention_interval": 3, "rope_parameters": {"rope_theta": 1e7}})");
  EXPECT_EQ(hp.width, 2048);
  EXPECT_EQ(hp.plan[2].kv_heads, 2);
  EXPECT_EQ(hp.experts, 256);
  EXPECT_EQ(hp.experts_used, 8);
  EXPECT_EQ(hp.expert_ffn, 512);
  EXPECT_EQ(hp.shared_ffn, 512);
  EXPECT_EQ(hp.rope.base, 1e7);
  EXPECT_EQ(hp.rope.dims, 64);
  EXPECT_THAT(linear_layers(hp), testing::ElementsAre(0, 1, 3, 4));
}

TEST(HybridConfig, QwenInsideAModelThatSeesPictures) {
  const Hyperparameters hp = read(R"({"model_type": "qwen3_5", "vision_config": {"depth": 27}, "text_config":
      {"num_hidden_layers": 4, "hidden_size": 128, "partial_rotary_factor": 0.5, "tie_word_embeddings": true}})");
  EXPECT_EQ(hp.layers, 4);
  EXPECT_EQ(hp.width, 128);
  EXPECT_EQ(hp.head_dim, 256);
  EXPECT_EQ(hp.rope.dims, 128);
  EXPECT_TRUE(hp.tied);
  EXPECT_THAT(linear_layers(hp), testing::ElementsAre(0, 1, 2));
}

TEST(HybridConfig, Granite) {
  const char* sizes = R"("hidden_size": 4096, "intermediate_size": 11008, "num_attention_heads": 32,
      "vocab_size": 32000, "num_hidden_layers": 3)";
  for (const char* key : {"layer_types", "layers_block_type"}) {
    const std::string text = std::string(R"({"model_type": "granitemoehybrid", )") + sizes + ", \"" + key +
                             R"(": ["mamba", "attention", "mamba"]})";
    const Hyperparameters hp = read(text.c_str());
    EXPECT_EQ(hp.plan[1].kv_heads, 32);
    EXPECT_EQ(hp.experts, 8);
    EXPECT_EQ(hp.experts_used, 2);
    EXPECT_EQ(hp.shared_ffn, 1024);
    EXPECT_FALSE(hp.plan[1].rope);
    EXPECT_EQ(hp.linear_heads, 128);
    EXPECT_EQ(hp.linear_columns, 64);
    EXPECT_EQ(hp.linear_keys, 256);
    EXPECT_EQ(hp.linear_groups, 1);
    EXPECT_THAT(linear_layers(hp), testing::ElementsAre(0, 2)) << key;
  }
}

TEST(HybridConfig, WhatWouldBeAnotherModelIsRefused) {
  const auto refused = [](const std::string& keys) {
    return refusal([&] { read(("{\"model_type\": \"qwen3_5_moe_text\", " + keys + "}").c_str()); });
  };
  EXPECT_THAT(refused(R"("attn_output_gate": false)"), testing::HasSubstr("without a gate"));
  EXPECT_THAT(refused(R"("attention_bias": true)"), testing::HasSubstr("biases"));
  EXPECT_THAT(refused(R"("mlp_only_layers": [3])"), testing::HasSubstr("without experts"));
  EXPECT_THAT(refused(R"("linear_num_value_heads": 24)"), testing::HasSubstr("24 values"));
  EXPECT_THAT(refused(R"("num_hidden_layers": 1, "layer_types": ["sliding_attention"])"),
              testing::HasSubstr("sliding_attention"));
}

}  // namespace
}  // namespace fieldprint
