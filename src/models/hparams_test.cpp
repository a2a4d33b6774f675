#include "models/hparams.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "models/architecture.h"
#include "support/files.h"
#include "support/tiny_model.h"

namespace fieldprint {
namespace {

using testing::HasSubstr;

class HyperparametersTest : public testing::Test {
 protected:
  // A tiny llama with other metadata.
  template <class Change>
  Hyperparameters read(Change change) {
    const auto file = GgufFile::parse(original_, "original");
    GgufWriter writer;
    for (const auto& [key, value] : file->metadata()) writer.copy(key, value);
    change(writer);
    for (const GgufTensor& tensor : file->tensors()) {
      writer.add_tensor(std::string(tensor.name), *tensor.type,
                        {tensor.shape.begin(), tensor.shape.begin() + tensor.dims},
                        std::span<const std::byte>(tensor.data, tensor.bytes));
    }
    const auto bytes = writer.bytes();
    const auto changed = GgufFile::parse(bytes, "changed");
    return load_architecture(*changed)->hyperparameters();
  }

  std::vector<std::byte> original_ = tiny_model_bytes();
};

// A file with a factor and no type is older than types: llama.cpp scales it linearly.
TEST_F(HyperparametersTest, ARopeFactorWithoutATypeIsLinear) {
  const auto factor = [&](auto change) { return read(change).rope.factor; };
  EXPECT_EQ(factor([](GgufWriter&) {}), 1);
  EXPECT_EQ(factor([](GgufWriter& w) { w.set("llama.rope.scaling.factor", 4.0f); }), 4);
  EXPECT_EQ(factor([](GgufWriter& w) { w.set("llama.rope.scale_linear", 2.0f); }), 2);
  EXPECT_EQ(factor([](GgufWriter& w) {
              w.set("llama.rope.scaling.type", "linear");
              w.set("llama.rope.scaling.factor", 8.0f);
            }),
            8);
  EXPECT_EQ(factor([](GgufWriter& w) {
              w.set("llama.rope.scaling.type", "none");
              w.set("llama.rope.scaling.factor", 8.0f);
            }),
            1);
  EXPECT_EQ(factor([](GgufWriter& w) { w.set("llama.rope.scaling.factor", 0.0f); }), 1);
  EXPECT_THAT(refusal([&] { read([](GgufWriter& w) { w.set("llama.rope.scaling.type", "ntk"); }); }),
              HasSubstr("RoPE scaling of type 'ntk' is not supported"));
  EXPECT_THAT(refusal([&] { read([](GgufWriter& w) { w.set("llama.rope.scaling.factor", -1.0f); }); }),
              HasSubstr("llama.rope.scaling.factor is -1"));
}

// Such settings were not looked at, and the answers were those of another model.
TEST_F(HyperparametersTest, SharesOfExpertsThatCannotBeComputedAreRefused) {
  const auto said = [&](auto change) {
    return refusal([&] {
      read([&](GgufWriter& w) {
        w.set("llama.expert_count", uint32_t{4});
        w.set("llama.expert_used_count", uint32_t{2});
        change(w);
      });
    });
  };
  const std::string no_experts = said([](GgufWriter&) {});  // the tiny llama has no such tensors
  EXPECT_THAT(no_experts, HasSubstr("blk.0.ffn_gate_inp.weight"));
  EXPECT_EQ(said([](GgufWriter& w) { w.set("llama.expert_weights_scale", 0.0f); }), no_experts);
  EXPECT_EQ(said([](GgufWriter& w) { w.set("llama.expert_weights_scale", 1.0f); }), no_experts);
  EXPECT_EQ(said([](GgufWriter& w) { w.set("llama.expert_weights_norm", true); }), no_experts);
  EXPECT_EQ(said([](GgufWriter& w) {
              w.set("llama.expert_weights_norm", false);
              w.set("llama.expert_gating_func", uint32_t{3});
            }),
            no_experts);
  EXPECT_THAT(said([](GgufWriter& w) { w.set("llama.expert_weights_scale", 2.5f); }),
              HasSubstr("llama.expert_weights_scale is 2.5, only 1 is supported"));
  EXPECT_THAT(said([](GgufWriter& w) { w.set("llama.expert_weights_scale", std::nanf("")); }),
              HasSubstr("llama.expert_weights_scale is nan"));
  EXPECT_THAT(said([](GgufWriter& w) { w.set("llama.expert_weights_scale", "much"); }),
              HasSubstr("llama.expert_weights_scale"));
  EXPECT_THAT(said([](GgufWriter& w) { w.set("llama.expert_weights_norm", false); }),
              HasSubstr("experts whose shares are not normalised are not supported"));
  EXPECT_THAT(said([](GgufWriter& w) { w.set("llama.expert_weights_norm", uint32_t{0}); }),
              HasSubstr("llama.expert_weights_norm"));
  EXPECT_THAT(said([](GgufWriter& w) { w.set("llama.expert_gating_func", uint32_t{4}); }),
              HasSubstr("llama.expert_gating_func is 4"));
}

TEST_F(HyperparametersTest, OfEachLayerOrOneForAll) {
  const auto hp = read([](GgufWriter& w) { w.set("llama.attention.head_count_kv", std::vector<int32_t>{2, 2}); });
  EXPECT_EQ(hp.plan[1].kv_heads, 2);
  EXPECT_THAT(
      refusal([&] { read([](GgufWriter& w) { w.set("llama.attention.head_count_kv", std::vector<int32_t>{2}); }); }),
      HasSubstr("llama.attention.head_count_kv has 1 entries, too few for the layers"));
  EXPECT_THAT(refusal([&] {
                read([](GgufWriter& w) { w.set("llama.attention.head_count_kv", std::vector<int32_t>{2, 0}); });
              }),
              HasSubstr("layer 1 has no K/V heads"));
  EXPECT_THAT(refusal([&] {
                read([](GgufWriter& w) { w.set("llama.feed_forward_length", std::vector<int32_t>{96, 95}); });
              }),
              HasSubstr("tensor blk.1.ffn_gate.weight is 64 x 96 x 1 x 1, the metadata ask for 64 x 95 x 1"));
}

}  // namespace
}  // namespace fieldprint
