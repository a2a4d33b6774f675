// Which language a text is written in, by its script and by short profiles of ours (languages.def): the words that
// every sentence has, and the letters that few languages share. It is small and plain on purpose: good for paragraphs,
// not for single words, and it knows the languages of its table alone.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace fieldprint {

struct LanguageProfile {
  std::string_view code;     // ISO 639-1: "en"
  std::string_view name;     // "English"
  std::string_view script;   // "Latin"
  std::string_view letters;  // all that it writes beside a-z, in lower case; for scripts of one language ""
  std::string_view words;    // its commonest, in lower case, between spaces
};
std::span<const LanguageProfile> language_profiles();         // in the order of languages.def
const LanguageProfile* find_language(std::string_view code);  // nullptr: there is none; "zh-cn" finds "zh"

struct LanguageGuess {
  std::string code;  // "" where it cannot be said: no letters, too few words, a script that is not in the table
  double share = 0;  // of the text's letters that are of this language's script
};

// The same text gives the same guess on every machine. Bytes that are not UTF-8 count as spaces. Any thread.
LanguageGuess guess_language(std::string_view text);

}  // namespace fieldprint
