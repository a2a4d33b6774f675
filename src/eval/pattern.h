// Regular expressions as Python's `re` reads them for str, on PCRE2: filters, metrics and instructions of evaluations
// are defined by such patterns. Unicode classes; `.` stops at \n alone; `$` also matches before a last \n.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace fieldprint {

// What a pattern found: the bytes it matched, and its groups in order, "" for one that took no part.
struct PatternMatch {
  std::string_view text;
  std::vector<std::string_view> groups;
};

// Immutable; from any thread. Texts that are no UTF-8 are an Error kBadInput; matching that takes too many steps, or
// does not come to an end, an Error kLimit.
class Pattern {
 public:
  struct Flags {
    bool ignore_case = false, multiline = false;
  };

  // Throws Error kBadInput where PCRE2 does not read it.
  explicit Pattern(std::string_view pattern) : Pattern(pattern, Flags{}) {}
  Pattern(std::string_view pattern, Flags flags);

  bool search(std::string_view text) const;
  // Those of re.findall: from left to right, none in another; they view into `text`.
  std::vector<PatternMatch> find_all(std::string_view text) const;
  size_t count(std::string_view text) const;
  // re.sub with a text in which \1 to \9 stand for groups.
  std::string replace(std::string_view text, std::string_view with) const;
  std::vector<std::string_view> split(std::string_view text) const;  // re.split, of a pattern without groups

 private:
  struct Code;
  std::shared_ptr<const Code> code_;
};

// Text as Python's str has it.
std::string_view strip(std::string_view text);                                           // str.strip()
std::string_view strip(std::string_view text, char c);                                   // str.strip("c")
std::string_view strip_left(std::string_view text);                                      // str.lstrip()
std::string replace_all(std::string text, std::string_view old, std::string_view with);  // str.replace()
bool is_upper_text(std::string_view text);  // str.isupper(): cased characters, all of them upper case
bool is_lower_text(std::string_view text);
// Characters of a word, as \w: runs of them are what re.findall(r"\w+") gives.
size_t count_words(std::string_view text);

}  // namespace fieldprint
