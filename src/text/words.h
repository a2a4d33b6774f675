// A text as words in one form, for whoever compares texts by what they say: lower case, without what stands between
// words.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fieldprint {

// Runs of letters, marks and numbers, in lower case; an apostrophe or a hyphen ends a word. In scripts that put no
// spaces between words (Han, kana, Thai, Lao, Khmer, Burmese) each character is a word. Bytes that are not UTF-8 count
// as spaces. With `signs` each other character but spaces is a word of its own: for code, where they carry the meaning.
// Any thread.
std::vector<std::string> normalised_words(std::string_view text, bool signs = false);

}  // namespace fieldprint
