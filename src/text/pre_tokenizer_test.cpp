#include "text/pre_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "fieldprint/error.h"
#include "support/cpu_time.h"
#include "text/unicode_class.h"

namespace fieldprint {
namespace {

using testing::ElementsAre;

std::vector<std::string> words_of(std::string_view text, const std::vector<size_t>& ends) {
  std::vector<std::string> words;
  size_t begin = 0;
  for (const size_t end : ends) words.emplace_back(text.substr(begin, end - begin)), begin = end;
  return words;
}

std::vector<std::string> split(std::string_view pre, std::string_view text) {
  std::vector<size_t> ends;
  PreTokenizer(*find_pre_tokenizer(pre).family).split(text, ends);
  return words_of(text, ends);
}

// Text of what pre-tokenizers treat differently, some of it broken.
std::string random_text(std::mt19937& random, size_t characters) {
  // clang-format off
  static const char* const kPieces[] = {
      " ",  " ",  "  ", "\n", "\r\n", "\t", "\u0085", "\u00A0", "\u3000", "\u2028", "\u180E", "\u200B", "\x0B",
      "a",  "Z",  "the", "\u00E9", "\u0130", "\u017F", "\u4E2D", "\u0915", "\u01C5", "\uAC00", "\U00010400",
      "'",  "'s", "'S", "'ll", "'Ve", "'RE", "'d", "'x", "\u2019s",
      "1",  "23", "456", "\u0663", "\u00B2", "\u2167", "\uFF11",
      "\u0301", "\u093F", "\u20DD", "\uFE0F", "\U000E0100",
      "!",  "...", "$", "/", "_", "=", "\u00AB", "\u20AC", "\U0001F469\u200D\U0001F467", "\uFFFD", "\u0378", "\uE000",
      "\xFF", "\xC3", "\xE2\x82", "\xED\xA0\x80", "\xF4\x90\x80\x80"};
  // clang-format on
  std::string text;
  for (size_t i = 0; i < characters; ++i) text += kPieces[random() % std::size(kPieces)];
  if (random() % 4 == 0) text.insert(random() % (text.size() + 1), 1, '\0');
  return text;
}

TEST(PreTokenizer, HandWrittenSplittersEqualTheirRegularExpressions) {
  std::mt19937 random(11);
  for (const PreTokenizerRow& row : pre_tokenizers()) {
    if (row.family->next_word == nullptr) continue;
    const RegexSplitter oracle(row.family->patterns);
    const PreTokenizer splitter(*row.family);
    for (int round = 0; round < 400; ++round) {
      const std::string text = random_text(random, 1 + random() % 25);
      std::vector<size_t> expected, ends;
      oracle.split(text, expected);
      splitter.split(text, ends);
      ASSERT_EQ(words_of(text, ends), words_of(text, expected)) << row.name << ": " << testing::PrintToString(text);
    }
  }
}

TEST(PreTokenizer, EveryRowLosesNothing) {
  std::mt19937 random(12);
  for (const PreTokenizerRow& row : pre_tokenizers()) {
    for (int round = 0; round < 20; ++round) {
      const std::string text = random_text(random, random() % 30);
      std::string joined;
      for (const auto& word : split(row.name, text)) {
        EXPECT_FALSE(word.empty()) << row.name;
        joined += word;
      }
      ASSERT_EQ(joined, text) << row.name;
    }
  }
}

TEST(PreTokenizer, Gpt2) {
  EXPECT_THAT(split("gpt-2", "It's 2024,  ok?\n\n x"),
              ElementsAre("It", "'s", " 2024", ",", " ", " ok", "?", "\n\n", " x"));
  EXPECT_THAT(split("gpt-2", "I'LL a\u0301"), ElementsAre("I", "'", "LL", " a", "\u0301"));
  EXPECT_THAT(split("gpt-2", "a  "), ElementsAre("a", "  "));
}

TEST(PreTokenizer, SmollmSetsDigitsApart) {
  EXPECT_THAT(split("smollm", "in  2024 x"), ElementsAre("in", "  ", "2", "0", "2", "4", " x"));
  EXPECT_THAT(split("smollm", " 1"), ElementsAre(" ", "1"));
}

TEST(PreTokenizer, Llama3TakesDigitsByThree) {
  EXPECT_THAT(split("llama-bpe", "I'LL pay 12345$!\n\n  now"),
              ElementsAre("I", "'LL", " pay", " ", "123", "45", "$!\n\n", " ", " now"));
  EXPECT_THAT(split("lfm2", " \n \tx"), ElementsAre(" \n", " ", "\tx"));
}

TEST(PreTokenizer, Qwen2TakesDigitsByOne) {
  EXPECT_THAT(split("qwen2", "x 12"), ElementsAre("x", " ", "1", "2"));
  EXPECT_THAT(split("qwen2", "a\u0301b"), ElementsAre("a", "\u0301b"));  // a mark begins a word here
}

TEST(PreTokenizer, Qwen35CountsMarksAsLetters) {
  EXPECT_THAT(split("qwen35", "a\u0301b 12"), ElementsAre("a\u0301b", " ", "1", "2"));
  EXPECT_THAT(split("qwen35", "\u0301"), ElementsAre("\u0301"));
  EXPECT_THAT(split("qwen35", "!\u0301a!!"), ElementsAre("!\u0301a", "!!"));
  EXPECT_THAT(split("qwen35", "!!\u0301"), ElementsAre("!!", "\u0301"));
  EXPECT_THAT(split("qwen35", " \u093F\u0915 x'Re\n"), ElementsAre(" \u093F\u0915", " x", "'Re", "\n"));
  EXPECT_THAT(split("qwen35", "1\u0301"), ElementsAre("1", "\u0301"));
  EXPECT_THAT(split("qwen35", "\n\u0301"), ElementsAre("\n", "\u0301"));
}

TEST(PreTokenizer, DefaultSetsPunctuationApart) {
  EXPECT_THAT(split("", "a, b 12345"), ElementsAre("a", ",", " b", " ", "123", "45"));
  EXPECT_EQ(&find_pre_tokenizer(""), &find_pre_tokenizer("default"));
}

TEST(PreTokenizer, AnUnknownNameIsAnErrorThatListsTheKnown) {
  try {
    find_pre_tokenizer("klingon");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kUnsupported);
    EXPECT_THAT(e.what(), testing::HasSubstr("'klingon'"));
    EXPECT_THAT(e.hint(), testing::AllOf(testing::HasSubstr("lfm2"), testing::HasSubstr("qwen35")));
  }
}

// Where our table and PCRE2's disagree, one of the two is of an older Unicode and does not know the character.
TEST(UnicodeClass, EqualsPcre2) {
  std::string all;  // a hyphen, which is in no class, between any two: a character that matches is a word of its own
  for (uint32_t c = 0; c < 0x110000; ++c) {
    if (c < 0xD800 || c > 0xDFFF) append_utf8(all, c), all += '-';
  }
  std::vector<CharClass> theirs(0x110000, kOther);
  std::vector<bool> unassigned(0x110000);
  const std::pair<std::string_view, CharClass> kClasses[] = {
      {"\\p{L}", kLetter}, {"\\p{N}", kNumber}, {"\\p{M}", kMark}, {"\\s", kSpace}, {"\\p{Cn}", kOther}};
  for (const auto& [pattern, kind] : kClasses) {
    std::vector<size_t> ends;
    RegexSplitter(std::span(&pattern, 1)).split(all, ends);
    size_t begin = 0;
    for (const size_t end : ends) {
      const Utf8Char c = utf8_at(all, begin);
      if (c.length == end - begin && c.code != '-') {
        theirs[c.code] = kind;
        unassigned[c.code] = kind == kOther;
      }
      begin = end;
    }
  }
  int disputed = 0;
  for (uint32_t c = 0; c < 0x110000; ++c) {
    if (char_classes()[c] == theirs[c]) continue;
    EXPECT_TRUE(unassigned[c] || char_classes()[c] == kOther) << std::hex << c;
    ++disputed;
  }
  EXPECT_LT(disputed, 20'000);  // Unicode 16 has 9,600 that 14 has not
  EXPECT_EQ(char_classes()[U'a'], kLetter);
  EXPECT_EQ(char_classes()[0x3000], kSpace);
}

// Time of 256 KiB against a sixteenth of it: 16 where it is linear, 256 where it is quadratic.
TEST(PreTokenizer, TakesLinearTimeForAnyRow) {
  const char* const kUnits[] = {"a", " ", "1", "\u0301", "A", "\n", "!", "\u4E2D", "\xFF", "' "};
  for (const PreTokenizerRow& row : pre_tokenizers()) {
    const bool first_of_family = std::find_if(pre_tokenizers().begin(), pre_tokenizers().end(), [&](const auto& r) {
                                   return r.family == row.family;
                                 })->name == row.name;
    if (!first_of_family) continue;
    const PreTokenizer splitter(*row.family);
    for (const std::string unit : kUnits) {
      const auto seconds = [&](size_t bytes) {
        std::string text;
        while (text.size() < bytes) text += unit;
        text += "x";
        std::vector<size_t> ends;
        const double start = cpu_seconds();
        splitter.split(text, ends);
        EXPECT_EQ(ends.back(), text.size());
        return cpu_seconds() - start;
      };
      const double small = std::max(seconds(1 << 14), 1e-3);
      EXPECT_LT(seconds(1 << 18), 100 * small) << row.name << " on " << testing::PrintToString(unit);
    }
  }
}

}  // namespace
}  // namespace fieldprint
