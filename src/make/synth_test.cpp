#include "fieldprint/synth.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "base/sha256.h"
#include "fieldprint/atomic_file.h"
#include "fieldprint/error.h"
#include "fieldprint/model.h"
#include "fieldprint/session.h"
#include "gguf/gguf.h"
#include "support/files.h"
#include "support/paths.h"

namespace fieldprint {
namespace {

using testing::HasSubstr;

class Synth : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() /
              ("fieldprint-synth-" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string path(const std::string& name = "out.gguf") const { return (folder_ / name).string(); }

  static SynthOptions tiny(const std::string& preset, const std::string& mix) {
    SynthOptions options;
    options.preset = preset;
    options.mix = mix;
    return options;
  }

  static std::string refusal(const SynthOptions& options) {
    try {
      plan_synth(options);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  std::filesystem::path folder_;
};

TEST_F(Synth, EveryPresetHasTheSizeOfItsModel) {
  // As the models' own pages state them; those named attn are ours, and so are the tiny ones and those of the lab,
  // which have no page.
  const std::pair<const char*, double> kWeights[] = {{"lfm2-8b-a1b", 8.340e9},
                                                     {"lfm2-1.2b", 1.170e9},
                                                     {"lfm2-350m", 354.5e6},
                                                     {"smollm2-135m", 134.5e6},
                                                     {"attn-lfm2", 92.9e6},
                                                     {"attn-llama", 74.5e6},
                                                     {"qwen2.5-0.5b", 494.0e6},
                                                     {"qwen2.5-1.5b", 1.544e9},
                                                     {"qwen2.5-7b", 7.616e9},
                                                     {"qwen3-0.6b", 596.0e6},
                                                     {"qwen3-1.7b", 1.721e9},
                                                     {"qwen3-4b", 4.022e9},
                                                     {"qwen3-8b", 8.191e9},
                                                     {"qwen3-30b-a3b", 30.53e9},
                                                     {"qwen3.5-0.8b", 752.4e6},
                                                     {"qwen3.5-4b", 4.206e9},
                                                     {"qwen35moe-35b-a3b", 34.66e9},
                                                     {"gemma2-2b", 2.614e9},
                                                     {"gemma3-270m", 268.1e6},
                                                     {"gemma3-1b", 999.9e6},
                                                     {"gemma3-4b", 3.880e9},
                                                     {"gpt-oss-20b", 20.91e9},
                                                     {"phi-3-mini", 3.821e9},
                                                     {"phi-4-mini", 3.836e9},
                                                     {"smollm3-3b", 3.075e9},
                                                     {"granite-3.1-2b", 2.534e9},
                                                     {"granite-3.1-3b-a800m", 3.30e9},
                                                     {"all-minilm-l6-v2", 22.6e6},
                                                     {"gpt2", 124.4e6}};
  const auto tiny_ones = std::ranges::count_if(
      synth_presets(), [](const auto& p) { return p.name.starts_with("tiny-") || p.name.starts_with("lab-"); });
  ASSERT_EQ(synth_presets().size() - static_cast<size_t>(tiny_ones), std::size(kWeights));
  for (const auto& [name, weights] : kWeights) {
    const SynthPlan plan = plan_synth(tiny(name, "Q6_K"));
    EXPECT_NEAR(static_cast<double>(plan.elements) / weights, 1.0, 0.003) << name;
  }
  // Q6_K takes 6.5625 bits; a little is F32.
  EXPECT_NEAR(plan_synth(tiny("lfm2-8b-a1b", "Q6_K")).bits_per_weight(), 6.568, 0.001);
}

TEST_F(Synth, ModelsLoadAndTheirLogitsAreOfSaneScale) {
  for (const char* preset : {"tiny-llama", "tiny-mixtral", "tiny-lfm2", "tiny-lfm2moe"}) {
    for (const char* mix : {"F16", "Q8_0", "Q4_K_M", "IQ3_XXS", "MXFP4"}) {
      synth(path(), tiny(preset, mix));
      const auto model = Model::load(path());
      Session session(model);
      std::vector<TokenId> tokens;
      for (int i = 0; i < 32; ++i) tokens.push_back(i * 7 % 256);
      double sum = 0, squares = 0, count = 0;
      session.append(tokens, [&](int, std::span<const float> logits) {
        count += static_cast<double>(logits.size());
        for (const float logit : logits) {
          sum += static_cast<double>(logit);
          squares += static_cast<double>(logit) * static_cast<double>(logit);
        }
      });
      const double mean = sum / count, deviation = std::sqrt(squares / count - mean * mean);
      EXPECT_GT(deviation, 1.0) << preset << " " << mix;
      EXPECT_LT(deviation, 3.0) << preset << " " << mix;
      EXPECT_LT(std::abs(mean), 0.5) << preset << " " << mix;
    }
  }
}

TEST_F(Synth, TheBytesDependOnTheSeedAlone) {
  SynthOptions options = tiny("tiny-lfm2moe", "Q4_K_M");
  options.threads = 1;
  synth(path("one"), options);
  options.threads = 7;
  synth(path("seven"), options);
  options.seed = 2;
  synth(path("other"), options);
  const std::string one = slurp(path("one"));
  EXPECT_TRUE(one == slurp(path("seven")));
  EXPECT_FALSE(one == slurp(path("other")));
}

TEST_F(Synth, TheBytesAreTheSameOnEveryMachine) {
  Sha256 hash;
  for (const char* mix :
       {"F32",   "F16",     "BF16",  "Q8_0",   "Q5_1",  "Q5_0",  "Q4_1",  "Q4_K_M", "Q3_K_M", "Q2_K", "IQ4_XS",
        "IQ3_M", "IQ3_XXS", "IQ2_M", "IQ2_XS", "IQ1_M", "IQ1_S", "TQ2_0", "TQ1_0",  "MXFP4",  "NVFP4"}) {
    synth(path(), tiny("tiny-lfm2moe", mix));
    const auto file = GgufFile::open(path());
    for (const GgufTensor& tensor : file->tensors()) hash.update({tensor.data, static_cast<size_t>(tensor.bytes)});
  }
  EXPECT_EQ(hash.hex(), "b0fb2d901a5c80479062a125967018840e6073dc75390fed0391984daa3b10c0");
}

TEST_F(Synth, TakesAVocabularyAndPadsIt) {
  GgufWriter writer;
  writer.set("general.architecture", "llama");
  writer.set("tokenizer.ggml.model", "gpt2");
  writer.set("tokenizer.ggml.tokens", std::vector<std::string>{"a", "b", "<|end|>"});
  writer.set("tokenizer.ggml.token_type", std::vector<int32_t>{1, 1, 3});
  writer.set("tokenizer.ggml.scores", std::vector<float>{0.0f, -1.0f, -2.0f});
  writer.set("tokenizer.ggml.eos_token_id", uint32_t{2});
  writer.set("tokenizer.chat_template", "{{ messages }}");
  writer.write(path("vocabulary.gguf"));
  SynthOptions options = tiny("tiny-llama", "Q8_0");
  options.vocabulary = path("vocabulary.gguf");
  synth(path(), options);
  const auto file = GgufFile::open(path());
  EXPECT_EQ(file->integer("llama.vocab_size"), 320);
  EXPECT_EQ(file->integer("tokenizer.ggml.eos_token_id"), 2);
  EXPECT_EQ(file->string("tokenizer.chat_template"), "{{ messages }}");
  const GgufArray* tokens = file->array("tokenizer.ggml.tokens");
  ASSERT_EQ(tokens->count, 320u);
  EXPECT_EQ(tokens->strings[1], "b");
  EXPECT_EQ(tokens->strings[319], "<|unused_319|>");
  EXPECT_EQ(file->array("tokenizer.ggml.token_type")->integer(2), 3);
  EXPECT_EQ(file->array("tokenizer.ggml.token_type")->integer(3), 5);
  EXPECT_EQ(file->array("tokenizer.ggml.scores")->number(1), -1.0);
  EXPECT_EQ(file->array("tokenizer.ggml.scores")->count, 320u);
  EXPECT_EQ(file->find("tokenizer.ggml.bos_token_id"), nullptr);
}

TEST_F(Synth, RefusesWhatItCannotMake) {
  EXPECT_THAT(refusal(tiny("lfm2-9b", "Q8_0")), HasSubstr("there is no preset lfm2-9b"));
  EXPECT_THAT(refusal(tiny("", "Q8_0")), HasSubstr("which preset?"));
  EXPECT_THAT(refusal(tiny("tiny-llama", "Q9")), HasSubstr("there is no type Q9"));
  SynthOptions options = tiny("tiny-llama", "F16");
  GgufWriter none;
  none.set("general.architecture", "llama");
  none.write(path("none.gguf"));
  options.vocabulary = path("none.gguf");
  EXPECT_THAT(refusal(options), HasSubstr("the file has no vocabulary"));
  GgufWriter large;
  large.set("tokenizer.ggml.tokens", std::vector<std::string>(321, "a"));
  large.write(path("large.gguf"));
  options.vocabulary = path("large.gguf");
  EXPECT_THAT(refusal(options), HasSubstr("a vocabulary of 321 tokens does not fit a model with 320"));
}

TEST_F(Synth, StopsWhenAskedAndLeavesNothing) {
  const auto stop = [](std::string_view, uint64_t done, uint64_t total) { return done < total / 2; };
  EXPECT_THROW(synth(path(), tiny("tiny-llama", "F16"), stop), Error);
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

TEST_F(Synth, AFullDiskIsFoundBeforeTheWork) {
  const auto space = std::filesystem::space(folder_);
  EXPECT_NO_THROW(require_room(path(), 1));
  EXPECT_NO_THROW(require_room(path("no/such/folder"), 1));  // opening the file says that better
  try {
    require_room(path(), space.capacity + 1);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("MB left"));
  }
}

TEST_F(Synth, RealVocabulary) {
  const std::string vocabulary = (shared_dir() / "golden/tokenizer/lfm2-vocab.gguf").string();
  if (!std::filesystem::exists(vocabulary)) GTEST_SKIP() << "no golden vocabularies: ../shared is not there";
  SynthOptions options = tiny("lfm2-350m", "Q8_0");
  options.vocabulary = vocabulary;
  EXPECT_EQ(refusal(options), "");
}

}  // namespace
}  // namespace fieldprint
