// How the harness reads a generated answer: a pattern finds what is to be compared, and exact_match compares it.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "eval/pattern.h"

namespace fieldprint {

enum class WhichMatch { kFirst, kLast };

// The first group of the match that took part, or the whole match of a pattern without groups, without spaces around
// it; "[invalid]" where nothing matches.
std::string extract(const Pattern& pattern, std::string_view answer, WhichMatch which);

struct ExactMatch {
  std::span<const Pattern> ignored = {};  // removed from both, one after the other
  bool ignore_case = false;
  bool ignore_punctuation = false;  // the 32 signs of ASCII
};
bool exact_match(std::string_view answer, std::string_view gold, const ExactMatch& how);

}  // namespace fieldprint
