// WordPiece (BERT, Devlin et al. 2019): the text in small letters and without accents, where the model wants that, is
// cut at white space and at punctuation and ideographs, which are words of their own. Each word becomes the longest
// tokens that fit from left to right, or the unknown token where none fits somewhere. A token that begins a word is
// written with U+2581 in front of it in GGUF files, one that continues a word as it is. A
// byte that belongs to no character is left out.
#include <algorithm>
#include <memory>
#include <string>

#include "base/utf8.h"
#include "text/flat_hash.h"
#include "text/spaces.h"
#include "text/text_model.h"
#include "text/word_cache.h"

namespace fieldprint {
namespace {

using std::string_view;

enum CharacterKind : uint8_t { kInWord, kGone, kSpace, kPunctuation, kIdeograph, kMark };

struct KindRange {
  uint32_t first, last;
  CharacterKind kind;
};
struct Mapping {
  uint32_t from, to;
};
struct CaseRange {
  uint32_t first, last, step;
  int32_t distance;
};

#include "text/wordpiece_unicode.inc"

// A byte for each code point.
const CharacterKind* character_kinds() {
  static const auto kinds = [] {
    auto all = std::make_unique<CharacterKind[]>(0x110000);
    for (const KindRange& range : kKinds) std::fill(&all[range.first], &all[range.last] + 1, range.kind);
    return all;
  }();
  return kinds.get();
}

// Hangul syllables decompose by arithmetic (The Unicode Standard, 3.12).
constexpr uint32_t kFirstSyllable = 0xAC00, kLastSyllable = 0xD7A3, kLead = 0x1100, kVowel = 0x1161, kTail = 0x11A7;
constexpr uint32_t kVowels = 21, kTails = 28;

// use(each character of the canonical decomposition of `code`, without its marks).
template <class Use>
void without_marks(uint32_t code, Use&& use) {
  if (code < 0x80) return use(code);
  if (code >= kFirstSyllable && code <= kLastSyllable) {
    const uint32_t syllable = code - kFirstSyllable;
    use(kLead + syllable / (kVowels * kTails));
    use(kVowel + syllable / kTails % kVowels);
    if (syllable % kTails != 0) use(kTail + syllable % kTails);
    return;
  }
  const auto* row = std::lower_bound(std::begin(kWithoutMarks), std::end(kWithoutMarks), code,
                                     [](const Mapping& one, uint32_t wanted) { return one.from < wanted; });
  if (row == std::end(kWithoutMarks) || row->from != code) return use(code);
  for (; row != std::end(kWithoutMarks) && row->from == code; ++row) use(row->to);
}

// use(each character of `code` in small letters).
template <class Use>
void in_lower_case(uint32_t code, Use&& use) {
  const auto* row = std::lower_bound(std::begin(kLowerCase), std::end(kLowerCase), code,
                                     [](const CaseRange& one, uint32_t wanted) { return one.last < wanted; });
  bool changed = false;
  for (; row != std::end(kLowerCase) && row->first <= code; ++row) {
    if ((code - row->first) % row->step != 0) continue;
    use(static_cast<uint32_t>(static_cast<int64_t>(code) + row->distance));
    changed = true;
  }
  if (!changed) use(code);
}

class WordPiece final : public TextModel {
 public:
  WordPiece(const GgufFile& file, const Vocabulary& v)
      : unknown_(v.unknown),
        lower_case_(file.boolean("tokenizer.ggml.normalizer.lowercase", true)),
        strip_accents_(file.boolean("tokenizer.ggml.normalizer.strip_accents", lower_case_)) {
    for (TokenId id = 0; id < v.size(); ++id) {
      string_view text = v.text(id);
      const bool begins = text.starts_with(kSpaceMark);
      if (begins) text.remove_prefix(kSpaceMark.size());
      const bool findable = v.kind(id) == TokenKind::kNormal && !text.empty();
      begins_.add(begins && findable ? text : "", begins && findable);
      continues_.add(!begins && findable ? text : "", !begins && findable);
      longest_ = std::max(longest_, text.size());
    }
  }

  void encode(string_view text, bool, std::vector<TokenId>& ids) const override {
    WordCachePool::Loan cache(caches_);
    const CharacterKind* kinds = character_kinds();
    std::string word;
    const auto finish = [&] {
      if (word.empty()) return;
      (*cache).encode(word, ids, [&](string_view new_word) { encode_word(new_word, ids); });
      word.clear();
    };
    const auto put = [&](uint32_t code) {
      const bool alone = kinds[code] == kPunctuation || kinds[code] == kIdeograph;
      if (alone) finish();
      append_utf8(word, code);
      if (alone) finish();
    };
    for (size_t at = 0; at < text.size();) {
      const Utf8Char character = utf8_at(text, at);
      at += character.length;
      const CharacterKind kind = kinds[character.code];  // of a byte that is no character: gone
      if (kind == kGone || (kind == kMark && strip_accents_)) continue;
      if (kind == kSpace) {
        finish();
        continue;
      }
      if (kind == kIdeograph) finish();
      const auto cased = [&](uint32_t code) { lower_case_ ? in_lower_case(code, put) : put(code); };
      strip_accents_ ? without_marks(character.code, cased) : cased(character.code);
      if (kind == kIdeograph) finish();
    }
    finish();
  }

  std::string piece(string_view written, TokenKind) const override { return unmark_spaces(written); }

  TokenId find(string_view text) const override {
    const bool begins = text.starts_with(' ');
    const uint32_t symbol = begins ? begins_.find(text.substr(1)) : continues_.find(text);
    return symbol == kNoSymbol ? kNoToken : static_cast<TokenId>(symbol);
  }

 private:
  static constexpr int kMaxCharacters = 100;  // of a word; longer ones are unknown

  void encode_word(string_view word, std::vector<TokenId>& ids) const {
    const size_t before = ids.size();
    const auto continuation = [](char c) { return (c & 0xC0) == 0x80; };
    bool known = word.size() - static_cast<size_t>(std::count_if(word.begin(), word.end(), continuation)) <=
                 size_t{kMaxCharacters};
    for (size_t at = 0; known && at < word.size();) {
      const SymbolTable& table = at == 0 ? begins_ : continues_;
      size_t length = std::min(longest_, word.size() - at);
      uint32_t symbol = kNoSymbol;
      for (; length > 0; --length) {
        if (at + length < word.size() && continuation(word[at + length])) continue;
        if ((symbol = table.find(word.substr(at, length))) != kNoSymbol) break;
      }
      known = symbol != kNoSymbol;
      if (known) ids.push_back(static_cast<TokenId>(symbol));
      at += length;
    }
    if (known) return;
    ids.resize(before);
    if (unknown_ != kNoToken) ids.push_back(unknown_);
  }

  TokenId unknown_;
  bool lower_case_, strip_accents_;
  SymbolTable begins_, continues_;  // tokens by their ids
  size_t longest_ = 0;              // bytes of a token
  WordCachePool caches_;
};

}  // namespace

std::unique_ptr<TextModel> make_wordpiece(const GgufFile& file, const Vocabulary& vocabulary) {
  return std::make_unique<WordPiece>(file, vocabulary);
}

}  // namespace fieldprint
