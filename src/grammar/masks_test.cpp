// Masks beside what they mean: a token is allowed where the text with its bytes is the beginning of a text of the
// grammar.
#include "grammar/masks.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "base/rng.h"
#include "fieldprint/error.h"
#include "grammar/grammar_state.h"
#include "support/tiny_vocabulary.h"

namespace fieldprint {
namespace {

using std::string;

bool allowed(const Masks::Mask& mask, TokenId token) {
  const auto t = static_cast<size_t>(token);
  if (!mask.words.empty() && (mask.words[t / 64] >> (t % 64) & 1) != 0) return true;
  return std::find(mask.few.begin(), mask.few.end(), token) != mask.few.end();
}

struct Case {
  std::unique_ptr<Tokenizer> tokenizer;
  GrammarPtr grammar;
  VocabularyTexts texts;
  Masks masks;

  Case(const TinyVocabulary& vocabulary, GrammarPtr g, size_t max_bytes = 32 << 20)
      : tokenizer(vocabulary.load()),
        grammar(std::move(g)),
        texts(*tokenizer),
        masks(grammar->state().automaton, texts, max_bytes) {}

  std::vector<TokenId> after(const std::vector<TokenId>& answer, Masks::Progress& progress) {
    const auto mask = masks.after(answer, progress);
    std::vector<TokenId> tokens;
    for (TokenId t = 0; t < tokenizer->size(); ++t)
      if (allowed(*mask, t)) tokens.push_back(t);
    return tokens;
  }
  std::vector<TokenId> after(const std::vector<TokenId>& answer) {
    Masks::Progress progress;
    return after(answer, progress);
  }
};

const char* const kGrammars[] = {
    "root ::= [a-z ]{1,20}",
    "root ::= \"hello\" (\" world\" | \" \" [0-9]+)? \"\\n\"{0,3}",
    "root ::= \"{\" (item (\", \" item)*)? \"}\"\nitem ::= \"\\\"\" [^\"\\\\]* \"\\\": \" (root | [0-9]{1,3})",
    "root ::= (\"a\" | \"aa\" | \"b\"){2,300}",
    "root ::= .{3,5}",
    "root ::= \"(\" root \")\" | \"h\u00e9\U0001F600\" | \"<tool>\"",
    "root ::= \"a\" root \"b\" | \"a\" root \"c\" | \"\"",
};

TEST(Masks, AreWhatTheGrammarLetsThrough) {
  Rng rng(1);
  for (const TinyVocabulary& vocabulary : {tiny_byte_level("gpt-2"), tiny_sentencepiece(), tiny_unigram()}) {
    for (const char* text : kGrammars) {
      SCOPED_TRACE(vocabulary.model + ": " + text);
      Case c(vocabulary, Grammar::from_gbnf(text));
      for (int walk = 0; walk < 12; ++walk) {
        std::vector<TokenId> answer;
        Masks::Progress progress;
        while (answer.size() < 40) {
          const std::vector<TokenId> may = c.after(answer, progress);
          Matcher matcher(c.grammar->state().automaton);
          // In vocabularies whose bytes cannot be written one by one, texts between characters are compared as they
          // are.
          std::vector<TokenId> should;
          for (TokenId t = 0; t < c.tokenizer->size(); ++t) {
            std::vector<TokenId> more = answer;
            more.push_back(t);
            matcher.begin_work();
            const string before = c.tokenizer->decode(answer, false), with = c.tokenizer->decode(more, false);
            const bool ends = c.tokenizer->ends_generation(t);
            const StateId state = matcher.next(matcher.start(), ends ? before : with);
            if (ends ? matcher.may_end(state) : state != kDead && with.size() > before.size()) should.push_back(t);
          }
          ASSERT_EQ(may, should) << "after: " << c.tokenizer->decode(answer, false);
          if (may.empty()) break;
          const TokenId token = may[rng.next() % may.size()];
          if (c.tokenizer->ends_generation(token)) {
            EXPECT_TRUE(c.grammar->matches(c.tokenizer->decode(answer, false)));
            break;
          }
          answer.push_back(token);
        }
      }
    }
  }
}

TEST(Masks, ASpaceThatDecodingTakesAwayIsNone) {
  Case c(tiny_sentencepiece(), Grammar::from_gbnf("root ::= \"hello\" \" world\""));
  const TokenId hello = c.tokenizer->find(" hello"), world = c.tokenizer->find(" world");
  ASSERT_NE(hello, kNoToken);
  const auto first = c.after({});
  EXPECT_NE(std::find(first.begin(), first.end(), hello), first.end());
  EXPECT_EQ(std::find(first.begin(), first.end(), c.tokenizer->find(" ")), first.end())
      << "nothing would be left of it";
  const auto second = c.after({hello});
  EXPECT_NE(std::find(second.begin(), second.end(), world), second.end());
  EXPECT_EQ(c.after({hello, world}), std::vector<TokenId>{c.tokenizer->eos()});
}

TEST(Masks, ControlTokensAreThoseThatAGrammarNames) {
  const auto vocabulary = tiny_byte_level("gpt-2");
  Case named(vocabulary, Grammar::from_gbnf("root ::= \"x<|im_start|>\" [a-z]"));
  const TokenId start = named.tokenizer->find("<|im_start|>"), bos = named.tokenizer->find("<s>");
  const TokenId end = named.tokenizer->eos();
  EXPECT_EQ(named.after({'x'}), (std::vector<TokenId>{'<', start}));
  EXPECT_EQ(named.after({'x', start}).size(), Case(vocabulary, Grammar::from_gbnf("root ::= [a-z]")).after({}).size());
  EXPECT_EQ(named.after({'x', start, 'q'}), std::vector<TokenId>{end});
  // A class of characters names nothing.
  const auto any = Case(vocabulary, Grammar::from_gbnf("root ::= .{1,100}")).after({});
  for (const TokenId token : {start, bos, end}) EXPECT_EQ(std::find(any.begin(), any.end(), token), any.end());
  // Nor does a text of a schema: the answer would not have it.
  Case constant(vocabulary, Grammar::from_json_schema("{\"const\": \"<|im_start|>\"}"));
  EXPECT_EQ(constant.after({'"'}), std::vector<TokenId>{'<'});
  // An end token that is named ends the text.
  Case ending(vocabulary, Grammar::from_gbnf("root ::= \"x\" (\"y<|im_end|>\" | \"z\")"));
  EXPECT_EQ(ending.after({'x', 'y'}), (std::vector<TokenId>{'<', end}));
  EXPECT_EQ(ending.after({'x', 'z'}), std::vector<TokenId>{end});
}

TEST(Masks, FreeTextHasAllTokensAndATriggerBinds) {
  const auto vocabulary = tiny_byte_level("gpt-2");
  const std::pair<string, GrammarPtr> triggers[] = {{"<|im_start|>", Grammar::from_gbnf("root ::= \"ab\" \"<s>\"?")}};
  Case c(vocabulary, Grammar::with_triggers(triggers));
  const TokenId start = c.tokenizer->find("<|im_start|>"), bos = c.tokenizer->find("<s>"), end = c.tokenizer->eos();
  const auto all = static_cast<size_t>(c.tokenizer->size());
  EXPECT_EQ(c.after({}).size(), all);
  EXPECT_EQ(c.after({'x', 0xC3, bos}).size(), all);
  const auto bound = c.after({'x', start});
  EXPECT_EQ(bound, (std::vector<TokenId>{'a', c.tokenizer->find("ab")}));
  EXPECT_EQ(c.after({'x', start, 'a', 'b'}).size(), all) << "free again";
  // Written by letters it is a trigger, too, and a token that reaches beyond it is checked.
  std::vector<TokenId> letters;
  for (const char letter : string("<|im_start|")) letters.push_back(letter);
  EXPECT_EQ(c.after(letters).size(), all);
  letters.push_back('>');
  EXPECT_EQ(c.after(letters), bound);
  // Before a mark no answer ends, and names are free text.
  Case until(vocabulary, Grammar::until("<s>"));
  const auto before = until.after({'x'});
  EXPECT_EQ(before.size(), all - 1);
  EXPECT_EQ(std::find(before.begin(), before.end(), end), before.end());
  EXPECT_EQ(until.after({'x', bos}), std::vector<TokenId>{end});
}

TEST(Masks, FollowAnAnswerThatGoesBack) {
  Case c(tiny_byte_level("gpt-2"), Grammar::from_gbnf("root ::= [a-c]{2} [x-z]"));
  Masks::Progress progress;
  const auto ab = c.after({'a', 'b'}, progress);
  EXPECT_EQ(ab, (std::vector<TokenId>{'x', 'y', 'z'}));
  EXPECT_EQ(c.after({'a'}, progress), c.after({'a'}));
  EXPECT_EQ(c.after({'c', 'a', 'y'}, progress), std::vector<TokenId>{c.tokenizer->eos()});
  EXPECT_EQ(c.after({'a', 'b'}, progress), ab);
  EXPECT_TRUE(c.after({'a', 'q'}, progress).empty()) << "nothing follows what is no beginning";
  EXPECT_TRUE(c.after({'a', 100'000}, progress).empty());
  EXPECT_EQ(c.after({'a', 'b'}, progress), ab);
}

// Masks that outgrow their memory are forgotten, and answers go on.
TEST(Masks, WhatIsForgottenIsMadeAgain) {
  const auto vocabulary = tiny_byte_level("gpt-2");
  const auto grammar = Grammar::from_gbnf("root ::= \"(\" root \")\" | \"[\" root \"]\" | [a-z]{1,2000}");
  Case c(vocabulary, grammar, 300'000), whole(vocabulary, grammar);
  Rng rng(3);
  for (int walk = 0; walk < 4; ++walk) {
    Masks::Progress progress, same;
    std::vector<TokenId> answer;
    for (int i = 0; i < 600; ++i) {
      ASSERT_EQ(c.after(answer, progress), whole.after(answer, same));
      answer.push_back(rng.next() % 2 == 0 ? '(' : '[');
    }
  }
}

TEST(Masks, ALongAnswerCostsNoMoreAToken) {
  Case c(tiny_byte_level("gpt-2"), Grammar::from_gbnf("root ::= ([a-c]{1,2000} \",\"){1,2000}"));
  Masks::Progress progress;
  std::vector<TokenId> answer;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 100'000; ++i) {
    answer.push_back(i % 1500 == 1499 ? ',' : 'a' + i % 3);
    if (i % 100 == 0) {
      ASSERT_FALSE(c.after(answer, progress).empty());
    }
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30));  // it takes a fraction of one
}

TEST(Masks, AreSharedByThreads) {
  Case c(tiny_byte_level("gpt-2"), Grammar::from_gbnf(kGrammars[2]));
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&c, t] {
      Rng rng(static_cast<uint64_t>(t));
      for (int walk = 0; walk < 30; ++walk) {
        std::vector<TokenId> answer;
        Masks::Progress progress;
        while (answer.size() < 60) {
          const auto may = c.after(answer, progress);
          ASSERT_FALSE(may.empty());
          const TokenId token = may[rng.next() % may.size()];
          if (c.tokenizer->ends_generation(token)) break;
          answer.push_back(token);
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
}

TEST(Masks, AmbiguityBeyondMeasureIsALimit) {
  Case c(tiny_byte_level("gpt-2"), Grammar::from_gbnf("root ::= (((\"a\"{1,9000}){1,9000}){1,9000}){1,9000}"));
  std::vector<TokenId> answer;
  Masks::Progress progress;
  EXPECT_THROW(
      {
        for (int i = 0; i < 3000; ++i) {
          (void)c.after(answer, progress);
          answer.push_back('a');
        }
      },
      Error);
}

}  // namespace
}  // namespace fieldprint
