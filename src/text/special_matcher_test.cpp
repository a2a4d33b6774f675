#include "text/special_matcher.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>
#include <string>

namespace fieldprint {
namespace {

SpecialMatcher matcher(const std::vector<std::string>& texts) {
  SpecialMatcher result;
  for (size_t i = 0; i < texts.size(); ++i) result.add(texts[i], static_cast<TokenId>(i));
  result.finish();
  return result;
}

// "ab[0]c": the text with what was found in brackets.
std::string shown(const SpecialMatcher& specials, const std::string& text) {
  std::string result;
  for (const TextFragment& f : specials.split(text)) {
    result += f.token == kNoToken ? text.substr(f.begin, f.end - f.begin) : fmt::format("[{}]", f.token);
  }
  return result;
}

std::string shown_naively(const std::vector<std::string>& texts, const std::string& text) {
  std::string result;
  for (size_t at = 0; at < text.size();) {
    size_t best = texts.size();
    for (size_t i = 0; i < texts.size(); ++i) {
      if (texts[i].empty() || text.compare(at, texts[i].size(), texts[i]) != 0) continue;
      if (best == texts.size() || texts[i].size() > texts[best].size()) best = i;
    }
    if (best == texts.size()) {
      result += text[at++];
    } else {
      result += fmt::format("[{}]", best);
      at += texts[best].size();
    }
  }
  return result;
}

TEST(SpecialMatcher, TakesTheLongestAtTheLeftmostPlace) {
  const auto specials = matcher({"<a>", "<a>>", "b<", ""});
  EXPECT_EQ(shown(specials, "x<a>>y"), "x[1]y");
  EXPECT_EQ(shown(specials, "<a><a>"), "[0][0]");
  EXPECT_EQ(shown(specials, "b<a>"), "[2]a>");
  EXPECT_EQ(shown(specials, ""), "");
  EXPECT_EQ(shown(matcher({}), "<a>"), "<a>");
}

TEST(SpecialMatcher, FindsTheExactTextOnly) {
  const auto specials = matcher({"<a>", "a>", "<a>"});
  EXPECT_EQ(specials.find("<a>"), 0);
  EXPECT_EQ(specials.find("a>"), 1);
  EXPECT_EQ(specials.find(">"), kNoToken);
  EXPECT_EQ(specials.find("x<a>"), kNoToken);
  EXPECT_EQ(specials.find(""), kNoToken);
}

TEST(SpecialMatcher, EqualsTheNaiveSearch) {
  std::mt19937 random(3);
  const auto word = [&](size_t longest) {
    std::string text(random() % (longest + 1), ' ');
    for (char& c : text) c = static_cast<char>('a' + random() % 2);
    return text;
  };
  for (int round = 0; round < 500; ++round) {
    std::vector<std::string> texts(random() % 6);
    for (auto& text : texts) text = word(6);
    const auto specials = matcher(texts);
    const std::string text = word(40);
    ASSERT_EQ(shown(specials, text), shown_naively(texts, text)) << text;
  }
}

TEST(SpecialMatcher, IsLinearWhereTokensAlmostMatchEverywhere) {
  const auto specials = matcher({std::string(100'000, 'a') + "b", "a"});  // naive: 1e11 steps
  const std::string text(1'000'000, 'a');
  EXPECT_EQ(specials.split(text).size(), text.size());
}

}  // namespace
}  // namespace fieldprint
