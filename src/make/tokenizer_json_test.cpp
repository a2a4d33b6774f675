#include "make/tokenizer_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "fieldprint/error.h"
#include "support/paths.h"
#include "text/byte_level.h"
#include "text/load_tokenizer.h"
#include "text/pre_tokenizer.h"

namespace fieldprint {
namespace {

using nlohmann::json;
using testing::HasSubstr;
namespace fs = std::filesystem;

const json kByteLevel = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}};

json split(std::string_view regex) {
  return {{"type", "Sequence"},
          {"pretokenizers",
           {{{"type", "Split"}, {"pattern", {{"Regex", regex}}}, {"behavior", "Isolated"}, {"invert", false}},
            {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}}}};
}

class TokenizerJson : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() /
              ("fieldprint-tokenizer-" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::create_directories(folder_);
    tokenizer_ = {{"model", {{"type", "BPE"}, {"vocab", {{"a", 0}, {"b", 1}, {"ab", 2}}}, {"merges", {"a b"}}}},
                  {"added_tokens", {{{"id", 4}, {"content", "<s>"}, {"special", true}}}},
                  {"pre_tokenizer", kByteLevel}};
  }
  void TearDown() override { fs::remove_all(folder_); }

  void write(const char* name, const json& value) const { std::ofstream(folder_ / name) << value.dump(); }

  // Bytes of a GGUF file with the tokenizer; they live as long as the test.
  std::shared_ptr<const GgufFile> convert(int64_t size = 6, const std::string& preferred = "") {
    write("tokenizer.json", tokenizer_);
    write("tokenizer_config.json", config_);
    write("config.json", model_);
    write("generation_config.json", generation_);
    GgufWriter writer;
    set_tokenizer(writer, folder_.string(), preferred, size);
    bytes_.push_back(writer.bytes());
    return GgufFile::parse(bytes_.back(), "test");
  }
  std::string refusal(int64_t size = 6) {
    try {
      convert(size);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  fs::path folder_;
  json tokenizer_, config_ = json::object(), model_ = json::object(), generation_ = json::object();
  std::deque<std::vector<std::byte>> bytes_;
};

TEST_F(TokenizerJson, TokensTypesAndMerges) {
  const auto file = convert();
  EXPECT_EQ(file->string("tokenizer.ggml.model"), "gpt2");
  EXPECT_EQ(file->string("tokenizer.ggml.pre"), "gpt-2");
  EXPECT_THAT(file->array("tokenizer.ggml.tokens")->strings,
              testing::ElementsAre("a", "b", "ab", "[PAD3]", "<s>", "[PAD5]"));
  const int types[] = {1, 1, 1, 5, 3, 5};
  for (uint64_t i = 0; i < 6; ++i) EXPECT_EQ(file->array("tokenizer.ggml.token_type")->integer(i), types[i]);
  EXPECT_THAT(file->array("tokenizer.ggml.merges")->strings, testing::ElementsAre("a b"));
  EXPECT_FALSE(file->boolean("tokenizer.ggml.add_bos_token", true));
  EXPECT_EQ(file->find("tokenizer.chat_template"), nullptr);
  tokenizer_["model"]["merges"] = json::array({json::array({"a", "b"})});  // as newer files have it
  tokenizer_["added_tokens"][0]["special"] = false;
  EXPECT_EQ(convert()->array("tokenizer.ggml.token_type")->integer(4), 4);
  EXPECT_THAT(convert()->array("tokenizer.ggml.merges")->strings, testing::ElementsAre("a b"));
}

TEST_F(TokenizerJson, WhatBeginsAndWhatEndsAText) {
  model_ = {{"bos_token_id", 4}, {"eos_token_id", {1, 2}}};
  auto file = convert();
  EXPECT_EQ(file->integer("tokenizer.ggml.bos_token_id"), 4);
  EXPECT_EQ(file->integer("tokenizer.ggml.eos_token_id"), 1);
  EXPECT_EQ(file->integer("tokenizer.ggml.eot_token_id"), 2);
  EXPECT_EQ(file->find("tokenizer.ggml.eom_token_id"), nullptr);
  config_ = {{"eos_token", {{"content", "ab"}}}, {"pad_token", "b"}, {"add_bos_token", true}};
  generation_ = {{"eos_token_id", {0, 2, 1}}};
  file = convert();
  EXPECT_EQ(file->integer("tokenizer.ggml.eos_token_id"), 2);
  EXPECT_EQ(file->integer("tokenizer.ggml.eot_token_id"), 0);
  EXPECT_EQ(file->integer("tokenizer.ggml.eom_token_id"), 1);
  EXPECT_EQ(file->integer("tokenizer.ggml.padding_token_id"), 1);
  EXPECT_TRUE(file->boolean("tokenizer.ggml.add_bos_token", false));
  tokenizer_["post_processor"] = {{"type", "ByteLevel"}};  // which the library goes by, whatever the flag says
  EXPECT_FALSE(convert()->boolean("tokenizer.ggml.add_bos_token", true));
  tokenizer_["post_processor"] = {
      {"type", "Sequence"},
      {"processors",
       {{{"type", "ByteLevel"}},
        {{"type", "TemplateProcessing"},
         {"single", {{{"SpecialToken", {{"id", "<s>"}}}}, {{"Sequence", {{"id", "A"}}}}}}}}}};
  EXPECT_TRUE(convert()->boolean("tokenizer.ggml.add_bos_token", false));
}

TEST_F(TokenizerJson, ChatTemplates) {
  config_["chat_template"] = "{{ 1 }}";
  EXPECT_EQ(convert()->string("tokenizer.chat_template"), "{{ 1 }}");
  config_["chat_template"] = {{{"name", "tool_use"}, {"template", "{{ 2 }}"}},
                              {{"name", "default"}, {"template", "{{ 3 }}"}}};
  EXPECT_EQ(convert()->string("tokenizer.chat_template"), "{{ 3 }}");
  std::ofstream(folder_ / "chat_template.jinja") << "{{ 4 }}\n";
  EXPECT_EQ(convert()->string("tokenizer.chat_template"), "{{ 4 }}\n");
}

TEST_F(TokenizerJson, WordsAreCutByAKnownPreTokenizer) {
  const auto pre = [&](const json& step, bool ignore_merges, const std::string& preferred = "") {
    tokenizer_["pre_tokenizer"] = step;
    tokenizer_["model"]["ignore_merges"] = ignore_merges;
    return std::string(convert(6, preferred)->string("tokenizer.ggml.pre"));
  };
  const auto patterns = [](const char* name) { return find_pre_tokenizer(name).family->patterns; };
  EXPECT_EQ(pre(kByteLevel, false), "gpt-2");
  EXPECT_EQ(
      pre({{"type", "Sequence"}, {"pretokenizers", {{{"type", "Digits"}, {"individual_digits", true}}, kByteLevel}}},
          false),
      "smollm");
  EXPECT_EQ(pre(split(patterns("llama-bpe")[0]), true), "llama-bpe");
  EXPECT_EQ(pre(split(patterns("llama-bpe")[0]), false), "dbrx");  // the same words, merged in another way
  EXPECT_EQ(pre(split(patterns("llama-bpe")[0]), true, "lfm2"), "lfm2");
  EXPECT_EQ(pre(split(patterns("llama-bpe")[0]), false, "lfm2"), "lfm2");
  EXPECT_EQ(pre(split(patterns("qwen2")[0]), false), "qwen2");
  EXPECT_EQ(pre(split(patterns("qwen2")[0]), false, "lfm2"), "qwen2");
  EXPECT_EQ(pre(split(patterns("gpt-4o")[0]), false), "gpt-4o");
}

// A real SentencePiece vocabulary as Hugging Face writes it, read back: the same ids. ("Llama 2" adds a space in
// front.)
TEST_F(TokenizerJson, SentencePieceVocabulariesGiveTheSameIds) {
  if (shared_dir().empty()) GTEST_SKIP() << "no ../shared here: no SentencePiece vocabulary to convert";
  const fs::path golden = shared_dir() / "golden/tokenizer";
  const auto original = GgufFile::open((golden / "llama-spm-vocab.gguf").string());
  const auto& tokens = original->array("tokenizer.ggml.tokens")->strings;
  const GgufArray& types = *original->array("tokenizer.ggml.token_type");
  const GgufArray& scores = *original->array("tokenizer.ggml.scores");
  json vocabulary = json::object(), added = json::array();
  std::map<std::string, double> score_of;
  for (size_t id = 0; id < tokens.size(); ++id) {
    const std::string token(tokens[id]);
    const auto type = types.integer(id);
    vocabulary[token] = id;
    if (type == 1) score_of[token] = scores.number(id);
    if (type == 2 || type == 3 || type == 4)
      added.push_back({{"id", id}, {"content", token}, {"special", type != 4}, {"normalized", false}});
  }
  std::vector<std::pair<double, std::string>> merges;
  for (const auto& [token, score] : score_of) {
    for (size_t cut = 1; cut < token.size(); ++cut) {
      if (score_of.contains(token.substr(0, cut)) && score_of.contains(token.substr(cut)))
        merges.emplace_back(score, token.substr(0, cut) + " " + token.substr(cut));
    }
  }
  std::stable_sort(merges.begin(), merges.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  json list = json::array();
  for (const auto& [score, merge] : merges) list.push_back(merge);
  const std::string mark = "\u2581";
  tokenizer_ = {
      {"model",
       {{"type", "BPE"}, {"byte_fallback", true}, {"unk_token", "<unk>"}, {"vocab", vocabulary}, {"merges", list}}},
      {"added_tokens", added},
      {"normalizer",
       {{"type", "Sequence"},
        {"normalizers",
         {{{"type", "Prepend"}, {"prepend", mark}},
          {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", mark}}}}}}};
  config_ = {{"bos_token", "<s>"}, {"eos_token", "</s>"}, {"add_bos_token", true}};
  const auto tokenizer = load_tokenizer(*convert(static_cast<int64_t>(tokens.size())));
  std::ifstream lines(golden / "llama-spm.jsonl");
  int wrong = 0, count = 0;
  for (std::string line; std::getline(lines, line);) {
    const auto one = json::parse(line);
    const auto text = one["text"].get<std::string>();
    // Longer runs of spaces are tokens of one and the same score there: merges cannot say so, they have an order.
    if (text.find("     ") != std::string::npos) continue;
    ++count;
    if (tokenizer->encode(text) != one["ids"].get<std::vector<TokenId>>() && ++wrong <= 3) ADD_FAILURE() << text;
  }
  EXPECT_GT(count, 700);
  EXPECT_EQ(wrong, 0);
}

TEST_F(TokenizerJson, WhatNobodyKnowsIsRefusedByName) {
  const auto with = [&](const char* pointer, const json& value) {
    const json before = tokenizer_;
    tokenizer_[json::json_pointer(pointer)] = value;
    const std::string said = refusal();
    tokenizer_ = before;
    return said;
  };
  EXPECT_THAT(with("/pre_tokenizer", split("\\w+")), HasSubstr("words are cut by '\\w+'"));
  EXPECT_THAT(with("/pre_tokenizer", {{"type", "Metaspace"}}), HasSubstr("a pre-tokenizer of type 'Metaspace'"));
  EXPECT_THAT(with("/pre_tokenizer", nullptr), HasSubstr("without a pre-tokenizer"));
  EXPECT_THAT(with("/pre_tokenizer/add_prefix_space", true), HasSubstr("adds a space in front"));
  EXPECT_THAT(with("/model/type", "Unigram"), HasSubstr("a tokenizer of type 'Unigram'"));
  EXPECT_THAT(with("/model/byte_fallback", true), HasSubstr("a step of type 'ByteLevel'"));
  EXPECT_THAT(with("/model/ignore_merges", true), HasSubstr("merges ignored"));
  EXPECT_THAT(with("/normalizer", {{"type", "Lowercase"}}), HasSubstr("a normalizer of type 'Lowercase'"));
  EXPECT_EQ(with("/normalizer", {{"type", "NFC"}}), "");
  EXPECT_THAT(with("/model/vocab/c", 0), HasSubstr("two tokens have the id 0"));
  EXPECT_THAT(with("/model/vocab/c", 6), HasSubstr("no id below the vocabulary's 6"));
  EXPECT_THAT(with("/model/vocab/c", -1), HasSubstr("no id below"));
  EXPECT_THAT(with("/model/vocab", 3), HasSubstr("has no model.vocab"));
  EXPECT_THAT(with("/model/merges", nullptr), HasSubstr("has no model.merges"));
  EXPECT_THAT(with("/model/merges/0", "ab"), HasSubstr("merge 0 is no pair"));
  EXPECT_THAT(with("/model/merges/0", {"a", "b c"}), HasSubstr("merge 0 is no pair"));
  EXPECT_THAT(with("/added_tokens/0/id", 99), HasSubstr("no id below"));
  EXPECT_THAT(with("/added_tokens/0", 99), HasSubstr("without content"));
  EXPECT_THAT(with("/added_tokens/0/single_word", true), HasSubstr("'<s>' is one only between words (single_word)"));
  EXPECT_THAT(refusal(3), HasSubstr("no id below"));
  config_["eos_token"] = "</s>";
  EXPECT_THAT(refusal(), HasSubstr("eos_token is '</s>', which is no token"));
  config_.clear();
  model_["eos_token_id"] = 6;
  EXPECT_THAT(refusal(), HasSubstr("eos_token_id is no token"));
}

// What Hugging Face's own library makes of random added tokens and flags: tests/golden/make_added_tokens.py.
TEST_F(TokenizerJson, AddedTokensAreCutAsTheirLibraryDoes) {
  std::ifstream lines(golden_dir() / "added_tokens.jsonl");
  int count = 0;
  for (std::string line; std::getline(lines, line);) {
    const json one = json::parse(line);
    json vocabulary = json::object();
    int64_t size = 0;
    const auto add = [&](std::string token) { vocabulary[std::move(token)] = size++; };
    std::vector<std::string> alphabet;
    for (int byte = 0; byte < 256; ++byte)
      alphabet.push_back(bytes_to_alphabet(std::string(1, static_cast<char>(byte))));
    std::sort(alphabet.begin(), alphabet.end());
    for (const std::string& letter : alphabet) add(letter);
    add("xx");
    tokenizer_["model"] = {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", {"x x"}}};
    tokenizer_["added_tokens"] = one["added_tokens"];
    tokenizer_["normalizer"] = one["normalizer"];
    const auto tokenizer = load_tokenizer(*convert(size + static_cast<int64_t>(one["added_tokens"].size())));
    for (const json& text : one["cases"]) {
      ++count;
      EXPECT_EQ(tokenizer->encode(text[0].get<std::string>(), {.add_special = false}),
                text[1].get<std::vector<TokenId>>())
          << text[0] << " with " << one["added_tokens"];
    }
  }
  EXPECT_EQ(count, 900);
}

TEST_F(TokenizerJson, EveryEndTokenOfTheGenerationConfigEndsAnAnswer) {
  tokenizer_["model"]["vocab"] = {{"a", 0}, {"b", 1}, {"ab", 2}, {"c", 3}, {"d", 5}};
  generation_ = {{"eos_token_id", {4, 5, 1, 3}}};
  config_ = {{"eos_token", "<s>"}};
  const auto tokenizer = load_tokenizer(*convert());
  for (const TokenId end : {1, 3, 4, 5}) EXPECT_TRUE(tokenizer->ends_generation(end)) << end;
  for (const TokenId token : {0, 2}) EXPECT_FALSE(tokenizer->ends_generation(token)) << token;
}

TEST_F(TokenizerJson, SequencesOfNormalizersThatChangeNothing) {
  const auto with = [&](json steps) {
    tokenizer_["normalizer"] = {{"type", "Sequence"}, {"normalizers", std::move(steps)}};
    return refusal();
  };
  EXPECT_EQ(with(json::array()), "");
  EXPECT_EQ(with({{{"type", "NFC"}}}), "");
  EXPECT_EQ(with({{{"type", "Sequence"}, {"normalizers", {{{"type", "NFC"}}}}}}), "");
  EXPECT_THAT(with({{{"type", "NFC"}}, {{"type", "Lowercase"}}}), HasSubstr("a normalizer of type 'Lowercase'"));
}

TEST_F(TokenizerJson, NestedBeyondMeasure) {
  json step = kByteLevel;
  for (int i = 0; i < 100; ++i) step = {{"type", "Sequence"}, {"pretokenizers", {step}}};
  tokenizer_["pre_tokenizer"] = step;
  EXPECT_THAT(refusal(), HasSubstr("of type 'Sequence' is not supported"));
}

TEST_F(TokenizerJson, RealVocabulariesComeBack) {
  const fs::path golden = shared_dir() / "golden" / "tokenizer";
  if (!fs::exists(golden)) GTEST_SKIP() << "no golden vocabularies: ../shared is not there";
  for (const char* name : {"gpt-2", "llama-bpe", "qwen2", "lfm2"}) {
    const auto file = GgufFile::open((golden / (std::string(name) + "-vocab.gguf")).string());
    const GgufArray &tokens = *file->array("tokenizer.ggml.tokens"), &types = *file->array("tokenizer.ggml.token_type");
    const GgufArray& merges = *file->array("tokenizer.ggml.merges");
    json vocabulary = json::object(), added = json::array();
    for (uint64_t i = 0; i < tokens.count; ++i) {
      const int64_t type = types.integer(i);
      if (type == 1) vocabulary[std::string(tokens.strings[i])] = i;
      else if (type != 5) added.push_back({{"id", i}, {"content", tokens.strings[i]}, {"special", type == 3}});
    }
    const PreTokenizerRow& row = find_pre_tokenizer(name);
    tokenizer_ = {
        {"model",
         {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", merges.strings}, {"ignore_merges", row.ignore_merges}}},
        {"added_tokens", added},
        {"pre_tokenizer", std::string_view(name) == "gpt-2" ? kByteLevel : split(row.family->patterns[0])}};
    const auto back = convert(static_cast<int64_t>(tokens.count), std::string_view(name) == "lfm2" ? "lfm2" : "");
    EXPECT_EQ(back->string("tokenizer.ggml.pre"), name);
    EXPECT_EQ(back->array("tokenizer.ggml.merges")->strings, merges.strings) << name;
    for (uint64_t i = 0; i < tokens.count; ++i) {
      ASSERT_EQ(back->array("tokenizer.ggml.token_type")->integer(i), types.integer(i)) << name << " " << i;
      ASSERT_EQ(back->array("tokenizer.ggml.tokens")->strings[i], tokens.strings[i]) << name << " " << i;
    }
  }
}

}  // namespace
}  // namespace fieldprint
