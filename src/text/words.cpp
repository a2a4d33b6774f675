#include "text/words.h"

#include "base/utf8.h"
#include "jinja/unicode.h"
#include "text/unicode_class.h"

namespace fieldprint {
namespace {

// Unicode blocks whose scripts write words without spaces.
bool stands_alone(uint32_t c) {
  return (c >= 0x0E00 && c <= 0x0EFF)     // Thai, Lao
         || (c >= 0x1000 && c <= 0x109F)  // Myanmar
         || (c >= 0x1780 && c <= 0x17FF)  // Khmer
         || (c >= 0x3040 && c <= 0x30FF)  // Hiragana, Katakana
         || (c >= 0x3400 && c <= 0x4DBF)  // Han
         || (c >= 0x4E00 && c <= 0x9FFF)  //
         || (c >= 0xF900 && c <= 0xFAFF)  //
         || (c >= 0x20000 && c <= 0x3FFFF);
}

std::string without_broken_bytes(std::string_view text) {
  std::string clean;
  clean.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const Utf8Char c = utf8_at(text, at);
    if (c.broken()) clean += ' ';
    else clean += text.substr(at, c.length);
    at += c.length;
  }
  return clean;
}

}  // namespace

std::vector<std::string> normalised_words(std::string_view text, bool signs) {
  const std::string lower = jinja::to_lower(is_utf8(text) ? std::string(text) : without_broken_bytes(text));
  const CharClass* classes = char_classes();
  std::vector<std::string> words;
  bool open = false;  // the last word may go on
  for (size_t at = 0; at < lower.size();) {
    const Utf8Char c = utf8_at(lower, at);
    const std::string_view bytes = std::string_view(lower).substr(at, c.length);
    const CharClass kind = classes[c.code];
    at += c.length;
    const bool of_word = kind == kLetter || kind == kNumber || kind == kMark;
    const bool alone = of_word ? stands_alone(c.code) : signs && kind != kSpace;
    if (alone) words.emplace_back(bytes);
    else if (of_word && open) words.back() += bytes;
    else if (of_word) words.emplace_back(bytes);
    open = of_word && !alone;
  }
  return words;
}

}  // namespace fieldprint
