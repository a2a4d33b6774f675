// Files whose numbers are none: every way to logits says so, and where it began.
#include "engine/finite.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "fieldprint/observe.h"
#include "fieldprint/perplexity.h"
#include "fieldprint/scheduler.h"
#include "support/tiny_model.h"

namespace fieldprint {
namespace {

struct Damage {
  const char* tensor;
  size_t element;
  float value;
};

// A tiny model with other numbers in its F32 tensors. Embedding and output are two matrices.
std::shared_ptr<const Model> damaged(std::initializer_list<Damage> damage) {
  std::vector<std::byte> bytes = tiny_model_bytes({.tied = false});
  const auto file = GgufFile::parse(bytes, "tiny");
  for (const Damage& d : damage) {
    const auto at = file->tensor(d.tensor).data - bytes.data() + static_cast<std::ptrdiff_t>(4 * d.element);
    std::memcpy(bytes.data() + at, &d.value, sizeof(d.value));
  }
  static int count = 0;
  const auto path = std::filesystem::temp_directory_path() /
                    ("fieldprint-damaged-" + std::to_string(::getpid()) + "-" + std::to_string(count++) + ".gguf");
  std::ofstream(path, std::ios::binary).write(reinterpret_cast<const char*>(bytes.data()), std::ssize(bytes));
  auto model = Model::load(path.string(), {.threads = 2});
  std::filesystem::remove(path);  // it is mapped
  return model;
}

std::string what_and_hint(const std::function<void()>& use) {
  try {
    use();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kBadFile);
    return std::string(e.what()) + "|" + e.hint();
  }
  return "accepted";
}

void expect_says(const std::string& got, std::initializer_list<const char*> parts) {
  for (const char* part : parts) EXPECT_NE(got.find(part), std::string::npos) << got << "\n misses " << part;
}

SamplingOptions few() {
  SamplingOptions o;
  o.max_tokens = 4;
  return o;
}

TEST(NotFinite, AllFiniteSeesEveryPlace) {
  for (const float bad : {NAN, -NAN, INFINITY, -INFINITY}) {
    for (size_t n = 1; n < 40; ++n) {
      for (size_t i = 0; i < n; ++i) {
        std::vector<float> values(n, 3e38f);
        EXPECT_TRUE(all_finite(values));
        values[i] = bad;
        EXPECT_FALSE(all_finite(values));
      }
    }
  }
  EXPECT_TRUE(all_finite({}));
}

TEST(NotFinite, TheFirstLayerAndTheTensorAreNamed) {
  const auto generate = [](const std::shared_ptr<const Model>& model, SamplingOptions sampling = few()) {
    return what_and_hint([&] {
      Session(model).generate(std::span<const TokenId>(std::vector<TokenId>{65, 66, 67}), sampling);
    });
  };
  const auto norm = damaged({{"blk.1.ffn_norm.weight", 5, NAN}});
  expect_says(generate(norm),
              {"the logits are not finite", "layer 1", "blk.1.ffn_gate.weight", "|blk.1.ffn_norm.weight holds NaN"});
  expect_says(generate(damaged({{"blk.0.attn_norm.weight", 0, INFINITY}})), {"layer 0", "|blk.0.attn_norm.weight"});
  expect_says(generate(damaged({{"token_embd.weight", 66 * 64 + 3, NAN}})), {"layer 0", "|token_embd.weight"});
  expect_says(generate(damaged({{"output.weight", 7, NAN}})), {"behind the last layer", "|output.weight"});
  expect_says(generate(damaged({{"output_norm.weight", 7, 3e38f}, {"output.weight", 7, 3e38f}})),
              {"behind the last layer", "|every weight there is finite"});
  SamplingOptions scored = few();
  scored.prompt_logprobs = 1;
  expect_says(generate(norm, scored), {"layer 1", "blk.1.ffn_norm.weight"});

  expect_says(what_and_hint([&] { observe(*norm, std::vector<TokenId>{1, 2, 3}, 0); }), {"layer 1"});
  std::string text;
  for (int i = 0; i < 40; ++i) text += "abcdefgh";
  PerplexityOptions options;
  options.context = 16;
  expect_says(what_and_hint([&] { perplexity(norm, text, options); }), {"layer 1", "blk.1.ffn_norm.weight"});
}

TEST(NotFinite, EndsItsOwnStreamAlone) {
  const auto model = damaged({{"token_embd.weight", 65 * 64 + 3, NAN}});
  Scheduler scheduler(model);
  std::vector<Stream> streams;
  for (int i = 0; i < 6; ++i) {
    Request request{{10, i % 2 == 0 ? 65 : 66, 12}, few(), {}, {}};
    request.sampling.logit_bias = {{65, -INFINITY}};
    if (i >= 4) request.sampling.prompt_logprobs = 0;
    streams.push_back(scheduler.submit(request));
  }
  for (size_t i = 0; i < streams.size(); ++i) {
    const auto got = what_and_hint([&] { (void)streams[i].wait(); });
    if (i % 2 == 0) expect_says(got, {"the logits are not finite", "layer 0"});
    else EXPECT_EQ(got, "accepted");
  }
}

}  // namespace
}  // namespace fieldprint
