#include "text/words.h"

#include <gtest/gtest.h>

namespace fieldprint {
namespace {

using Words = std::vector<std::string>;

TEST(NormalisedWords, AreLowerCaseWithoutWhatStandsBetween) {
  EXPECT_EQ(normalised_words("  The quick, BROWN fox's 12.5 \xC3\x84pfel!"),
            (Words{"the", "quick", "brown", "fox", "s", "12", "5", "\xC3\xA4pfel"}));
  EXPECT_EQ(normalised_words(""), Words{});
  EXPECT_EQ(normalised_words("_ -- ..."), Words{});
}

TEST(NormalisedWords, AreSingleCharactersWhereAScriptHasNoSpaces) {
  EXPECT_EQ(normalised_words("我有2只猫"), (Words{"我", "有", "2", "只", "猫"}));
}

TEST(NormalisedWords, KeepSignsOfCode) {
  EXPECT_EQ(normalised_words("a += b;", true), (Words{"a", "+", "=", "b", ";"}));
}

TEST(NormalisedWords, TakeBrokenBytesForSpaces) {
  EXPECT_EQ(normalised_words("one\xFFtwo\xE2\x82"), (Words{"one", "two"}));
}

}  // namespace
}  // namespace fieldprint
