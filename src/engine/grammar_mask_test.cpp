#include "fieldprint/grammar_mask.h"

#include <gtest/gtest.h>

#include <string>

#include "fieldprint/error.h"
#include "fieldprint/session.h"
#include "support/tiny_model.h"

namespace fieldprint {
namespace {

struct Tiny {
  TinyModelFile file;
  std::shared_ptr<const Model> model = Model::load(file.path(), {.threads = 1});
  GrammarVocabularyPtr vocabulary = std::make_shared<const GrammarVocabulary>(model->tokenizer());

  Generation answer(const GrammarPtr& grammar, int max_tokens = -1, uint64_t seed = 1) const {
    Session session(model);
    SamplingOptions options;
    options.seed = seed;
    options.temperature = 2;
    options.max_tokens = max_tokens;
    options.loop_check = false;
    options.mask = grammar_mask(grammar, vocabulary);
    const std::vector<TokenId> prompt = {104, 105};
    return session.generate(std::span<const TokenId>(prompt), options);
  }
};

TEST(GrammarMask, AnAnswerEndsWhereItsGrammarDoes) {
  const Tiny tiny;
  const auto grammar = Grammar::from_regex("[a-c]{2}(x|yz)");
  for (uint64_t seed = 0; seed < 10; ++seed) {
    const Generation answer = tiny.answer(grammar, -1, seed);
    EXPECT_EQ(answer.reason, FinishReason::kEndToken);
    EXPECT_TRUE(grammar->matches(answer.text)) << answer.text;
  }
  const Generation cut = tiny.answer(Grammar::from_regex("[a-c]{50}"), 3);
  EXPECT_EQ(cut.reason, FinishReason::kLength);
  EXPECT_EQ(cut.tokens.size(), 3u);
}

TEST(GrammarMask, SamplersChooseAmongWhatIsLeft) {
  const Tiny tiny;
  Session session(tiny.model);
  SamplingOptions options;
  options.temperature = 0;
  options.logit_bias = {{'a', -std::numeric_limits<float>::infinity()}};
  options.mask = grammar_mask(Grammar::from_regex("a|b"), tiny.vocabulary);
  const std::vector<TokenId> prompt = {104, 105};
  EXPECT_EQ(session.generate(std::span<const TokenId>(prompt), options).text, "b");
  options.logit_bias.push_back({'b', -std::numeric_limits<float>::infinity()});
  EXPECT_EQ(session.generate(std::span<const TokenId>(prompt), options).reason, FinishReason::kNoneAllowed);
}

TEST(GrammarMask, WhatAMaskThrowsIsTheAnswersError) {
  const Tiny tiny;
  const auto dear = Grammar::from_gbnf("root ::= (((\"a\"{1,9000}){1,9000}){1,9000}){9000}");
  EXPECT_THROW((void)tiny.answer(dear), Error);
}

// The vocabulary, the grammar and the factory may go while a mask is in use.
TEST(GrammarMask, KeepsAliveWhatItNeeds) {
  std::unique_ptr<TokenMask> mask;
  int size = 0;
  {
    const Tiny tiny;
    size = tiny.model->tokenizer().size();
    mask = grammar_mask(Grammar::from_regex("[a-c]+"), tiny.vocabulary)();
  }
  TokenSet allowed(size);
  mask->allow(std::vector<TokenId>{'a', 'b'}, allowed);
  EXPECT_TRUE(allowed.contains('c'));
  EXPECT_FALSE(allowed.contains('d'));
}

TEST(GrammarCache, KeepsTheLastOnes) {
  GrammarCache cache(2);
  int made = 0;
  const auto get = [&](const std::string& text) {
    return cache.get(text, [&] {
      ++made;
      return Grammar::text(text);
    });
  };
  const GrammarPtr a = get("a");
  EXPECT_EQ(get("a"), a);
  get("b");
  EXPECT_EQ(get("a"), a);
  get("c");  // "b" is gone, the one that was not used for the longest time
  EXPECT_EQ(made, 3);
  EXPECT_EQ(get("a"), a);
  get("b");
  EXPECT_EQ(made, 4);
  EXPECT_THROW(cache.get("bad", [] { return Grammar::from_gbnf("?"); }), Error);
  EXPECT_TRUE(get("bad")->matches("bad"));
}

}  // namespace
}  // namespace fieldprint
