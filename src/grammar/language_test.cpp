#include "grammar/language.h"

#include <gtest/gtest.h>

#include "fieldprint/error.h"
#include "grammar/char_set.h"
#include "grammar/regex.h"

namespace fieldprint {
namespace {

Language regex(const char* text) { return Language::of(parse_regex(text, false)); }

TEST(CharSet, RangesJoinAndSurrogatesStayOut) {
  CharSet set{{'a', 'c'}, {'e', 'g'}, {'d', 'd'}, {'b', 'f'}};
  EXPECT_EQ(set.ranges().size(), 1u);
  EXPECT_EQ(set, (CharSet{{'a', 'g'}}));
  EXPECT_TRUE(CharSet::any().contains(0xD7FF) && CharSet::any().contains(0xE000) && CharSet::any().contains(kLastChar));
  EXPECT_FALSE(CharSet::any().contains(0xD800) || CharSet::any().contains(0xDFFF));
  EXPECT_TRUE((CharSet{{0xD800, 0xDFFF}}).empty());
  EXPECT_EQ(CharSet::any().negated(), CharSet());
  EXPECT_EQ(CharSet().negated(), CharSet::any());
  EXPECT_EQ(set.negated().negated(), set);
  EXPECT_EQ(set.minus(CharSet{{'c', 'd'}}), (CharSet{{'a', 'b'}, {'e', 'g'}}));
  EXPECT_EQ(set.both(CharSet{{0, 'b'}, {'g', 999}}), (CharSet{{'a', 'b'}, {'g', 'g'}}));
}

TEST(Language, IntersectionAndDifference) {
  const Language words = regex("[a-z]+"), with_x = regex(".*x.*");
  EXPECT_TRUE(words.both(with_x).contains("axe"));
  EXPECT_FALSE(words.both(with_x).contains("ave"));
  EXPECT_FALSE(words.both(with_x).contains("x1"));
  EXPECT_TRUE(words.minus(with_x).contains("ave"));
  EXPECT_FALSE(words.minus(with_x).contains("axe"));
  EXPECT_FALSE(words.minus(with_x).contains(""));
  EXPECT_TRUE(words.minus(words).empty());
  EXPECT_TRUE(words.both(regex("[0-9]+")).empty());
  EXPECT_FALSE(words.both(Language::of_lengths(3, 3)).empty());
  EXPECT_TRUE(words.both(Language::of_lengths(3, 3)).contains("abc"));
  EXPECT_FALSE(words.both(Language::of_lengths(3, 3)).contains("abcd"));
}

TEST(Language, NamesThatAreNotTaken) {
  const std::vector<std::string> taken = {"a", "ab", "\u00e9\U0001F600"};
  const Language free = Language::of_lengths(1, kUnbounded).minus(Language::of(taken));
  for (const char* in : {"b", "aa", "abc", "\u00e9", "\u00e9\U0001F601"}) EXPECT_TRUE(free.contains(in)) << in;
  for (const char* out : {"", "a", "ab", "\u00e9\U0001F600", "\xff"}) EXPECT_FALSE(free.contains(out)) << out;
}

TEST(Language, Multiples) {
  for (const uint32_t divisor : {1u, 2u, 7u, 25u, 1000u}) {
    const Language multiples = Language::of_multiples(divisor);
    for (int i = -2100; i <= 2100; i += 1)
      ASSERT_EQ(multiples.contains(std::to_string(i)), i % static_cast<int>(divisor) == 0) << i << " " << divisor;
  }
}

TEST(Language, TooManyStatesAreALimit) {
  EXPECT_THROW((void)regex("(a|b)*a(a|b){20}"), Error);
  EXPECT_THROW((void)regex("a{100000}"), Error);
  EXPECT_THROW((void)Language::of_lengths(0, 1'000'000), Error);
}

}  // namespace
}  // namespace fieldprint
