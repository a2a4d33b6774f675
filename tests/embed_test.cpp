// The real all-MiniLM-L6-v2, where it has been pulled: token ids and vectors of sentences in several languages, as a
// float64 run of the published weights gives them (tests/golden/make_minilm.py).
#include "fieldprint/embed.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "support/paths.h"

namespace fieldprint {
namespace {

namespace fs = std::filesystem;

fs::path minilm() {
  const char* data = std::getenv("XDG_DATA_HOME");
  const char* home = std::getenv("HOME");
  const fs::path root =
      data != nullptr && *data != '\0' ? fs::path(data) : fs::path(home != nullptr ? home : "") / ".local/share";
  return root / "fieldprint/models/all-MiniLM-L6-v2-F16.gguf";
}

struct Sentence {
  std::string text;
  std::vector<TokenId> ids;
  std::vector<float> vector;
};

std::vector<Sentence> sentences() {
  std::vector<Sentence> all;
  std::ifstream lines(golden_dir() / "minilm.jsonl");
  for (std::string line; std::getline(lines, line);) {
    const auto one = nlohmann::json::parse(line);
    all.push_back({one["text"], one["ids"], one["vector"]});
  }
  return all;
}

class MiniLm : public testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(minilm()))
      GTEST_SKIP() << minilm() << " is not here: `fieldprint pull all-minilm-l6-v2` fetches it";
    ASSERT_GE(golden_.size(), 8u);
  }
  const std::vector<Sentence> golden_ = sentences();
};

TEST_F(MiniLm, TokenIdsAreThoseOfHuggingFace) {
  const auto tokenizer = load_tokenizer(minilm().string());
  for (const Sentence& one : golden_) EXPECT_EQ(tokenizer->encode(one.text), one.ids) << one.text;
}

TEST_F(MiniLm, VectorsAreThoseOfTheWeightsInFloat64) {
  std::vector<std::string> texts;
  for (const Sentence& one : golden_) texts.push_back(one.text);
  const auto model = Model::load(minilm().string());
  Embedder embedder(model);
  EXPECT_EQ(embedder.width(), 384);
  EXPECT_EQ(embedder.pooling(), Pooling::kMean);
  const auto vectors = embedder.embed(texts);
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto vector = std::span(vectors).subspan(i * 384, 384);
    EXPECT_GE(cosine(vector, golden_[i].vector), 0.9999) << texts[i];
    EXPECT_EQ(embedder.embed(texts[i]), std::vector<float>(vector.begin(), vector.end())) << "alone: " << texts[i];
  }
}

TEST_F(MiniLm, TextsOfLikeMeaningLieCloseTogether) {
  Embedder embedder(Model::load(minilm().string()));
  const auto cat = embedder.embed("A cat is sleeping on the sofa."),
             kitten = embedder.embed("The kitten naps on a couch."),
             tax = embedder.embed("The tax return is due in April.");
  EXPECT_GT(cosine(cat, kitten), 0.6);
  EXPECT_LT(cosine(cat, tax), 0.2);
}

}  // namespace
}  // namespace fieldprint
