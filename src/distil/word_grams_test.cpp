#include "distil/word_grams.h"

#include <gtest/gtest.h>

#include <string>

namespace fieldprint::distil {
namespace {

TEST(WordGrams, TextsMayRepeatThemselves) {
  WordGrams grams;
  std::string text;
  for (int i = 0; i < 40; ++i) text += "over and ";
  EXPECT_TRUE(grams.add(text, "song"));
  EXPECT_FALSE(grams.add("too short to be found", "title"));
  ASSERT_TRUE(grams.find("and " + text.substr(0, 80)));
  EXPECT_EQ(grams.find("And over, and over, and over: and over and over and over and over.")->source, "song");
  EXPECT_FALSE(grams.find("over and over"));
}

}  // namespace
}  // namespace fieldprint::distil
