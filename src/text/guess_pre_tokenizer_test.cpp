#include "text/guess_pre_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "support/paths.h"
#include "text/byte_level.h"

namespace fieldprint {
namespace {

// A byte-level vocabulary of `texts` and enough letters that what is missing means something.
std::vector<std::byte> vocabulary_of(const std::vector<std::string>& texts, int letters = 1200) {
  std::vector<std::string> tokens;
  for (const std::string& text : texts) tokens.push_back(bytes_to_alphabet(text));
  for (int i = 0; i < letters; ++i)
    tokens.push_back(
        {static_cast<char>('a' + i % 26), static_cast<char>('a' + i / 26 % 26), static_cast<char>('a' + i / 676)});
  GgufWriter writer;
  writer.set("general.architecture", "any");
  writer.set("tokenizer.ggml.model", "gpt2");
  writer.set("tokenizer.ggml.tokens", tokens);
  return writer.bytes();
}

TEST(GuessPreTokenizer, GoesByTokensThatOtherWaysCouldNotHaveMade) {
  const std::pair<const char*, std::vector<std::string>> kCases[] = {
      {"gpt-2", {" 12", "1999", "(", " the"}},
      {"smollm", {"1", "2", "(", " the"}},
      {"llama-bpe", {"123", "(self", "_name", "getBy"}},
      {"qwen2", {"1", "(self", "_name", "getBy"}},
      {"gpt-4o", {"123", "(self", "_name"}},
      {"tekken", {"1", "(self", "_name"}},
      {"default", {"123", "(", " the", "'re"}},
  };
  for (const auto& [name, texts] : kCases) {
    const auto bytes = vocabulary_of(texts);
    const auto file = GgufFile::parse(bytes, "guess");
    EXPECT_EQ(pre_tokenizer_of(*file).name, name);
    EXPECT_THAT(pre_tokenizer_warning(*file), testing::HasSubstr("look like those of '" + std::string(name) + "'"));
  }
}

TEST(GuessPreTokenizer, ASmallVocabularyShowsLittle) {
  const auto guess = [](const std::vector<std::string>& texts) {
    const auto bytes = vocabulary_of(texts, 20);
    return pre_tokenizer_of(*GgufFile::parse(bytes, "small")).name;
  };
  EXPECT_EQ(guess({"123", " the"}), "llama-bpe");
  EXPECT_EQ(guess({"1", " the"}), "default");
  EXPECT_EQ(guess({" 1", "123"}), "gpt-2");
  EXPECT_EQ(guess({}), "default");
}

TEST(GuessPreTokenizer, WhatTheFileSaysIsNoGuess) {
  GgufWriter writer;
  writer.set("general.architecture", "any");
  writer.set("tokenizer.ggml.model", "gpt2");
  writer.set("tokenizer.ggml.pre", "qwen2");
  writer.set("tokenizer.ggml.tokens", std::vector<std::string>{"a"});
  const auto bytes = writer.bytes();
  const auto file = GgufFile::parse(bytes, "said");
  EXPECT_EQ(pre_tokenizer_of(*file).name, "qwen2");
  EXPECT_EQ(pre_tokenizer_warning(*file), "");
}

TEST(GuessPreTokenizer, RealVocabularies) {
  if (shared_dir().empty()) GTEST_SKIP() << "the golden vocabularies lie in ../shared, which is absent";
  for (const char* name : {"gpt-2", "llama-bpe", "qwen2", "lfm2", "starcoder"}) {
    const auto real =
        GgufFile::open((shared_dir() / "golden/tokenizer" / (std::string(name) + "-vocab.gguf")).string());
    GgufWriter writer;
    for (const auto& [key, value] : real->metadata()) {
      if (key != "tokenizer.ggml.pre") writer.copy(key, value);
    }
    const auto bytes = writer.bytes();
    const auto silent = GgufFile::parse(bytes, name);
    EXPECT_EQ(pre_tokenizer_of(*silent).family, find_pre_tokenizer(name).family)
        << name << " is taken for " << pre_tokenizer_of(*silent).name;
  }
}

}  // namespace
}  // namespace fieldprint
