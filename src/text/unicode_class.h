// What pre-tokenizers ask about a character: letter, number, mark, white space, or none of these.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/utf8.h"

namespace fieldprint {

enum CharClass : uint8_t {
  kOther = 0,
  kLetter = 1,  // general category L
  kNumber = 2,  // N
  kMark = 3,    // M
  kSpace = 4,   // White_Space=yes, which is what \s means in Unicode regular expressions
};

// Indexed by code point, 0x110000 entries.
const CharClass* char_classes();

struct ClassedChar {
  CharClass kind;
  uint32_t length;  // bytes
};

// The character at text[at]; a byte that belongs to none is kOther of length 1.
inline ClassedChar class_at(const CharClass* classes, std::string_view text, size_t at) {
  const auto byte = static_cast<uint8_t>(text[at]);
  if (byte < 0x80) return {classes[byte], 1};
  const Utf8Char c = utf8_at(text, at);
  return {classes[c.code], c.length};
}

}  // namespace fieldprint
