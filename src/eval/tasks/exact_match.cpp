#include "eval/tasks/exact_match.h"

#include <algorithm>

#include "jinja/unicode.h"

namespace fieldprint {

std::string extract(const Pattern& pattern, std::string_view answer, WhichMatch which) {
  const std::string nothing = "[invalid]";
  const std::vector<PatternMatch> matches = pattern.find_all(answer);
  if (matches.empty()) return nothing;
  const PatternMatch& match = which == WhichMatch::kFirst ? matches.front() : matches.back();
  if (match.groups.empty()) return std::string(strip(match.text));
  const auto is_full = [](std::string_view group) { return !group.empty(); };
  const auto group = std::find_if(match.groups.begin(), match.groups.end(), is_full);
  return group == match.groups.end() ? nothing : std::string(strip(*group));
}

bool exact_match(std::string_view answer, std::string_view gold, const ExactMatch& how) {
  const auto reduced = [&](std::string_view text) {
    std::string left(text);
    for (const Pattern& pattern : how.ignored) left = pattern.replace(left, "");
    if (how.ignore_case) left = jinja::to_lower(left);
    if (how.ignore_punctuation) {
      std::erase_if(left, [](char c) {
        return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
      });
    }
    return left;
  };
  return reduced(answer) == reduced(gold);
}

}  // namespace fieldprint
