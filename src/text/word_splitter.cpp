#include "text/word_splitter.h"

#include "text/unicode_class.h"

namespace fieldprint {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

// The bytes of a contraction ('s 't 'm 'd 're 've 'll) at text[begin], or 0.
template <bool kAnyCase>
size_t contraction(std::string_view text, size_t begin) {
  const auto at = [&](size_t i) {
    if (begin + i >= text.size()) return '\0';
    return kAnyCase ? lower(text[begin + i]) : text[begin + i];
  };
  if (at(0) != '\'') return 0;
  const char a = at(1);
  if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
  // U+017F, the long s, folds to s.
  if (kAnyCase && text.substr(begin + 1, 2) == "\xC5\xBF") return 3;
  const char b = at(2);
  return (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l') ? 3 : 0;
}

// The end of the run of characters of the classes in `mask` (a bit a class) that begins at `at`.
size_t run_end(const CharClass* classes, std::string_view text, size_t at, unsigned mask) {
  while (at < text.size()) {
    const ClassedChar c = class_at(classes, text, at);
    if (!(mask >> c.kind & 1u)) break;
    at += c.length;
  }
  return at;
}

bool newline(char c) { return c == '\r' || c == '\n'; }

// White space at `begin`: \s+(?!\S)|\s+ , that is, all of it but a last character that another word may want. What the
// classes in `walls` begin counts as the end of the text.
template <bool kNewlines>
size_t space_end(const CharClass* classes, std::string_view text, size_t begin, unsigned walls) {
  size_t at = begin, last = begin, after_newline = 0;
  while (at < text.size()) {
    const ClassedChar c = class_at(classes, text, at);
    if (c.kind != kSpace) break;
    last = at;
    at += c.length;
    if (kNewlines && newline(text[last])) after_newline = at;
  }
  if (after_newline > 0) return after_newline;
  const bool free_end = at == text.size() || (walls >> class_at(classes, text, at).kind & 1u);
  return free_end || last == begin ? at : last;
}

constexpr unsigned kLetterBit = 1u << kLetter, kNumberBit = 1u << kNumber, kMarkBit = 1u << kMark,
                   kOtherBit = 1u << kOther;

template <bool kDigitsApart>
size_t gpt2(std::string_view text, size_t begin) {
  const CharClass* classes = char_classes();
  if (text[begin] == '\'') {
    if (const size_t length = contraction<false>(text, begin)) return begin + length;
  }
  const size_t at = begin + (text[begin] == ' ');
  if (at < text.size()) {
    const ClassedChar c = class_at(classes, text, at);
    switch (c.kind) {
      case kLetter:
        return run_end(classes, text, at + c.length, kLetterBit);
      case kNumber:
        if (!kDigitsApart) return run_end(classes, text, at + c.length, kNumberBit);
        if (at == begin) return at + c.length;
        break;
      case kMark:
      case kOther:
        return run_end(classes, text, at + c.length, kMarkBit | kOtherBit);
      case kSpace:
        break;
    }
  }
  return space_end<false>(classes, text, begin, kDigitsApart ? kNumberBit : 0);
}

template <int kDigits, bool kMarks>
size_t llama3(std::string_view text, size_t begin) {
  constexpr unsigned kWord = kLetterBit | (kMarks ? kMarkBit : 0u);
  constexpr unsigned kSymbol = kOtherBit | (kMarks ? 0u : kMarkBit);
  const CharClass* classes = char_classes();
  if (text[begin] == '\'') {
    if (const size_t length = contraction<true>(text, begin)) return begin + length;
  }
  const ClassedChar first = class_at(classes, text, begin);
  size_t at = begin + first.length;
  if (kWord >> first.kind & 1u) return run_end(classes, text, at, kWord);
  if (first.kind == kNumber) {
    for (int i = 1; i < kDigits && at < text.size(); ++i) {
      const ClassedChar c = class_at(classes, text, at);
      if (c.kind != kNumber) break;
      at += c.length;
    }
    return at;
  }
  const bool more = at < text.size();
  const ClassedChar second = more ? class_at(classes, text, at) : ClassedChar{kSpace, 0};
  if (more && !newline(text[begin]) && (kWord >> second.kind & 1u)) {
    return run_end(classes, text, at + second.length, kWord);
  }
  if ((kSymbol >> first.kind & 1u) || (text[begin] == ' ' && more && (kSymbol >> second.kind & 1u))) {
    at = run_end(classes, text, at, kSymbol);
    while (at < text.size() && newline(text[at])) ++at;
    return at;
  }
  return space_end<true>(classes, text, begin, 0);
}

}  // namespace

size_t next_word_gpt2(std::string_view text, size_t begin) { return gpt2<false>(text, begin); }
size_t next_word_gpt2_digits_apart(std::string_view text, size_t begin) { return gpt2<true>(text, begin); }
size_t next_word_llama3(std::string_view text, size_t begin) { return llama3<3, false>(text, begin); }
size_t next_word_qwen2(std::string_view text, size_t begin) { return llama3<1, false>(text, begin); }
size_t next_word_qwen35(std::string_view text, size_t begin) { return llama3<1, true>(text, begin); }

}  // namespace fieldprint
