// WordPiece on a small vocabulary: each text with the tokens that Hugging Face tokenizers 0.23 gives for it. The real
// vocabulary is checked in tests/embed_test.cpp.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gguf/gguf.h"
#include "support/files.h"
#include "text/load_tokenizer.h"

namespace fieldprint {
namespace {

const std::vector<std::string> kTokens = {
    "[PAD]",   "[UNK]",        "[CLS]",        "[SEP]",        "\u2581hello", "\u2581un",  "want",    "ed",
    "\u2581,", "\u2581!",      "\u2581\u6771", "\u2581\u4eac", "\u2581cafe",  "\u2581a",   "\u2581i", "\u2581na",
    "ive",     "\u2581\u1112", "\u1161",       "\u11ab",       "\u2581[",     "\u2581sep", "\u2581]"};

template <class More>
std::unique_ptr<Tokenizer> tokenizer_of(const std::vector<std::string>& tokens, More more) {
  GgufWriter writer;
  std::vector<int32_t> types(tokens.size(), 1);
  for (size_t i = 0; i < 4; ++i) types[i] = 3;
  writer.set("tokenizer.ggml.model", "bert");
  writer.set("tokenizer.ggml.tokens", tokens);
  writer.set("tokenizer.ggml.token_type", types);
  more(writer);
  const auto bytes = writer.bytes();
  return load_tokenizer(*GgufFile::parse(bytes, "wordpiece"));
}

std::unique_ptr<Tokenizer> tokenizer(bool lower_case = true) {
  return tokenizer_of(kTokens, [&](GgufWriter& writer) {
    writer.set("tokenizer.ggml.cls_token_id", uint32_t{2});
    writer.set("tokenizer.ggml.seperator_token_id", uint32_t{3});
    writer.set("tokenizer.ggml.unknown_token_id", uint32_t{1});
    if (!lower_case) writer.set("tokenizer.ggml.normalizer.lowercase", false);
  });
}

std::string pieces(const Tokenizer& of, std::string_view text, const EncodeOptions& options = {}) {
  std::string all;
  for (const TokenId id : of.encode(text, options)) all += (all.empty() ? "" : "|") + kTokens[static_cast<size_t>(id)];
  return all;
}

TEST(WordPiece, TextsBecomeTheLongestTokensFromTheLeft) {
  const auto bert = tokenizer();
  EXPECT_EQ(pieces(*bert, "Hello, UNwanted!"), "[CLS]|\u2581hello|\u2581,|\u2581un|want|ed|\u2581!|[SEP]");
  EXPECT_EQ(pieces(*bert, ""), "[CLS]|[SEP]");
  EXPECT_EQ(pieces(*bert, "unwantedly hello"), "[CLS]|[UNK]|\u2581hello|[SEP]");  // all of the word is unknown
  EXPECT_EQ(pieces(*bert, std::string(101, 'a')), "[CLS]|[UNK]|[SEP]");
  EXPECT_EQ(pieces(*bert, "want"), "[CLS]|[UNK]|[SEP]");  // what continues a word cannot begin one
}

TEST(WordPiece, AccentsAndControlCharactersGoIdeographsStandAlone) {
  const auto bert = tokenizer();
  EXPECT_EQ(pieces(*bert, "caf\u00e9 cafe\u0301 CAF\u00c9"), "[CLS]|\u2581cafe|\u2581cafe|\u2581cafe|[SEP]");
  EXPECT_EQ(pieces(*bert, "na\u00efve"), "[CLS]|\u2581na|ive|[SEP]");
  EXPECT_EQ(pieces(*bert, "\u6771\u4eac"), "[CLS]|\u2581\u6771|\u2581\u4eac|[SEP]");
  EXPECT_EQ(pieces(*bert, "\ud55c"), "[CLS]|\u2581\u1112|\u1161|\u11ab|[SEP]");  // Hangul is taken apart
  EXPECT_EQ(pieces(*bert, std::string_view("hel\0lo\xff\u200b", 10)), "[CLS]|\u2581hello|[SEP]");
  EXPECT_EQ(pieces(*bert, "\u0130"), "[CLS]|\u2581i|[SEP]");
  EXPECT_EQ(pieces(*bert, "hello\u3000hello\r\n"), "[CLS]|\u2581hello|\u2581hello|[SEP]");
}

TEST(WordPiece, AModelThatTellsCapitalsApartKeepsAccentsToo) {
  const auto bert = tokenizer(false);
  EXPECT_EQ(pieces(*bert, "hello Hello"), "[CLS]|\u2581hello|[UNK]|[SEP]");
  EXPECT_EQ(pieces(*bert, "caf\u00e9"), "[CLS]|[UNK]|[SEP]");
}

TEST(WordPiece, NamesOfSpecialTokensAreThoseOrPlainText) {
  const auto bert = tokenizer();
  EXPECT_EQ(pieces(*bert, "a[SEP]a"), "[CLS]|\u2581a|[SEP]|\u2581a|[SEP]");
  EXPECT_EQ(pieces(*bert, "[SEP]", {.parse_special = false}), "[CLS]|\u2581[|\u2581sep|\u2581]|[SEP]");
  EXPECT_EQ(pieces(*bert, "hello", {.add_special = false}), "\u2581hello");
}

// BERT's own ids were taken whatever stood there, and none where the vocabulary was too small for them.
TEST(WordPiece, SpecialTokensThatTheFileDoesNotNumberAreFoundByTheirTexts) {
  const auto silent = [](GgufWriter&) {};
  const auto bert = tokenizer_of(kTokens, silent);
  EXPECT_EQ(pieces(*bert, "hello xyz"), "[CLS]|\u2581hello|[UNK]|[SEP]");
  std::vector<std::string> many = kTokens;
  while (many.size() < 120) many.push_back("unused" + std::to_string(many.size()));
  const auto large = tokenizer_of(many, silent);  // 100 to 102 are other tokens
  EXPECT_EQ(large->encode("hello xyz"), (std::vector<TokenId>{2, 4, 1, 3}));
  for (const size_t missing : {1, 2, 3}) {
    std::vector<std::string> fewer = kTokens;
    fewer[missing] = "other";
    EXPECT_THAT(refusal([&] { tokenizer_of(fewer, silent); }),
                testing::HasSubstr("no token is called " + kTokens[missing]));
  }
}

TEST(WordPiece, IdsOutOfRangeAreRefused) {
  for (const std::string key : {"cls", "seperator", "unknown"}) {
    const auto wrong = [&](GgufWriter& w) { w.set("tokenizer.ggml." + key + "_token_id", uint32_t{1000}); };
    EXPECT_THAT(refusal([&] { tokenizer_of(kTokens, wrong); }), testing::HasSubstr(key + "_token_id: token 1000"));
  }
}

TEST(WordPiece, DecodingPutsSpacesBetweenWords) {
  const auto bert = tokenizer();
  EXPECT_EQ(bert->decode(bert->encode("Hello unwanted", {.add_special = false})), "hello unwanted");
  EXPECT_EQ(bert->find(" hello"), 4);
  EXPECT_EQ(bert->find("want"), 6);
  EXPECT_EQ(bert->find("hello"), kNoToken);
}

}  // namespace
}  // namespace fieldprint
