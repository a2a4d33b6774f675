// SentencePiece writes a space as U+2581 inside its tokens.
#pragma once

#include <string>
#include <string_view>

namespace fieldprint {

inline constexpr std::string_view kSpaceMark = "\xE2\x96\x81";

inline std::string mark_spaces(std::string_view text, bool prefix) {
  std::string marked;
  marked.reserve(text.size() + text.size() / 2 + kSpaceMark.size());
  if (prefix) marked += kSpaceMark;
  for (const char c : text) {
    if (c == ' ') {
      marked += kSpaceMark;
    } else {
      marked += c;
    }
  }
  return marked;
}

inline std::string unmark_spaces(std::string_view text) {
  std::string plain;
  for (size_t at = 0; at < text.size();) {
    if (text.substr(at).starts_with(kSpaceMark)) {
      plain += ' ';
      at += kSpaceMark.size();
    } else {
      plain += text[at++];
    }
  }
  return plain;
}

}  // namespace fieldprint
