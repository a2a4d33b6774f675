// Models of every kind of attention: the fast path agrees with the reference, and no way of feeding changes a bit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>

#include "attention/kind.h"
#include "fieldprint/error.h"
#include "fieldprint/model.h"
#include "fieldprint/session.h"
#include "fieldprint/synth.h"

namespace fieldprint {
namespace {

using testing::HasSubstr;

std::vector<TokenId> some_tokens(int count) {
  std::vector<TokenId> tokens;
  for (int i = 0; i < count; ++i) tokens.push_back((i * 97 + i / 7) % 256);
  return tokens;
}

class AttentionModel : public testing::Test {
 protected:
  AttentionModel() { std::filesystem::create_directories(folder_); }
  ~AttentionModel() override { std::filesystem::remove_all(folder_); }

  std::string make(const char* preset, std::string_view kind, const char* mix) const {
    SynthOptions options;
    options.preset = preset;
    options.mix = mix;
    options.attention_kind = kind;
    const std::string file = (folder_ / "model.gguf").string();
    synth(file, options);
    return file;
  }

  std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("fieldprint-attention-" + std::to_string(::getpid()));
};

TEST_F(AttentionModel, OfEveryKindAgreesWithTheReferenceHoweverItIsFed) {
  const auto tokens = some_tokens(90);
  for (const AttentionKind& kind : attention_kinds()) {
    for (const char* preset : {"tiny-llama", "tiny-lfm2"}) {
      SCOPED_TRACE(std::string(preset) + " " + std::string(kind.name));
      const auto model =
          Model::load(make(preset, kind.name, "F32"), {.threads = 2, .attention_kind = std::string(kind.name)});
      const auto logits = [&](const SessionOptions& options) {
        Session session(model, options);
        session.append(tokens);
        return std::vector<float>(session.logits().begin(), session.logits().end());
      };
      const auto got = logits({}), expected = logits({.executor = "reference"});
      double error = 0, size = 0;
      for (size_t i = 0; i < got.size(); ++i) {
        error += std::pow(static_cast<double>(got[i]) - static_cast<double>(expected[i]), 2);
        size += std::pow(static_cast<double>(expected[i]), 2);
      }
      EXPECT_LT(error / size, 1e-5);  // keys and values are F16, and gram squares them
      EXPECT_EQ(logits({.chunk = 1, .page_size = 16}), got);
      EXPECT_EQ(logits({.chunk = 37, .page_size = 5}), got);
    }
  }
}

TEST_F(AttentionModel, OfAnotherKindIsRefusedAndSaysWhy) {
  const std::string file = make("tiny-llama", "gram", "Q8_0");
  EXPECT_NO_THROW((void)Model::load(file));
  const auto refusal = [&](const char* kind) {
    try {
      (void)Model::load(file, {.attention_kind = kind});
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
      return std::string(error.what()) + " " + error.hint();
    }
    return std::string();
  };
  EXPECT_THAT(refusal("dot"), HasSubstr("layer 0 of the model was trained to attend by gram"));
  EXPECT_THAT(refusal("cosine"), HasSubstr("one of: dot, gram, gram_key, anchored, expressive"));
  SynthOptions options;
  options.preset = "tiny-llama";
  options.attention_kind = "cosine";
  EXPECT_THROW((void)plan_synth(options), Error);
}

// Each kind changes the result: a key that is read but not used would pass the tests above.
TEST_F(AttentionModel, EachKindGivesOtherLogits) {
  std::vector<std::vector<float>> all;
  for (const AttentionKind& kind : attention_kinds()) {
    Session session(Model::load(make("tiny-llama", kind.name, "Q8_0"), {.threads = 2}));
    session.append(some_tokens(20));
    all.emplace_back(session.logits().begin(), session.logits().end());
    for (size_t i = 0; i + 1 < all.size(); ++i) EXPECT_NE(all[i], all.back()) << kind.name;
  }
}

}  // namespace
}  // namespace fieldprint
