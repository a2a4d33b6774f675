#include "eval/pattern.h"

#include <gtest/gtest.h>

#include "fieldprint/error.h"

namespace fieldprint {
namespace {

using Texts = std::vector<std::string_view>;

TEST(EvalPattern, FindsAsPythonDoes) {
  const auto all = [](const char* pattern, const char* text, Pattern::Flags flags = {}) {
    Texts found;
    const std::vector<PatternMatch> matches = Pattern(pattern, flags).find_all(text);
    for (const PatternMatch& match : matches) found.push_back(match.text);
    return found;
  };
  EXPECT_EQ(all("a*", "baac"), (Texts{"", "aa", "", ""}));  // an empty one behind another, not twice in one place
  EXPECT_EQ(all(R"(\w+)", "naïve Straße_1 —²"), (Texts{"naïve", "Straße_1", "²"}));
  EXPECT_EQ(all("é", "É", {.ignore_case = true}), (Texts{"É"}));
  EXPECT_EQ(all(R"(\.$)", "1.\n"), (Texts{"."}));  // before the last line end too
  EXPECT_EQ(all(R"(\.$)", "1.\n\n"), Texts{});
  EXPECT_EQ(all("^.+$", "a\r\nb", {.multiline = true}), (Texts{"a\r", "b"}));  // \n alone ends a line
  EXPECT_EQ(all(R"(\s)", "\u00A0\u2003"), (Texts{"\u00A0", "\u2003"}));
}

TEST(EvalPattern, GivesGroups) {
  const std::vector<PatternMatch> found = Pattern("(a)|(b)").find_all("ab");
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].groups, (Texts{"a", ""}));
  EXPECT_EQ(found[1].groups, (Texts{"", "b"}));
}

TEST(EvalPattern, ReplacesAndSplits) {
  EXPECT_EQ(Pattern("(?s).*#### ").replace("a\nb #### 12", ""), "12");
  EXPECT_EQ(Pattern(R"(\(\s*(.*?)\s*\))").replace("f( x ) ( y)", R"(<\1>)"), "f<x> <y>");
  EXPECT_EQ(Pattern(R"(\s?\*\*\*\s?)").split("a *** b***"), (Texts{"a", "b", ""}));
  EXPECT_EQ(Pattern("x").split(""), Texts{""});
  EXPECT_EQ(Pattern("a").count("banana"), 3u);
}

TEST(EvalPattern, SaysWhatIsWrong) {
  EXPECT_THROW(Pattern("("), Error);
  EXPECT_THROW(Pattern("a").search("\xFF"), Error);
  try {
    (void)Pattern("(a|aa)+$").search(std::string(200, 'a') + "!");
    FAIL() << "there are far too many ways to try";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kLimit);
  }
}

TEST(EvalPattern, HasPythonsStrings) {
  EXPECT_EQ(strip(" \u3000a b\n\u0085"), "a b");
  EXPECT_EQ(strip("\t"), "");
  EXPECT_EQ(strip("**a**", '*'), "a");
  EXPECT_EQ(replace_all("aaa", "aa", "b"), "ba");
  EXPECT_TRUE(is_upper_text("ÀB 1!"));
  EXPECT_FALSE(is_upper_text("12")) << "no cased character";
  EXPECT_FALSE(is_upper_text("ABc"));
  EXPECT_TRUE(is_lower_text("straße 1"));
  EXPECT_EQ(count_words("it's well-known: 3.5 a_b"), 7u);  // it s well known 3 5 a_b
}

}  // namespace
}  // namespace fieldprint
