#include "text/guess_pre_tokenizer.h"

#include <algorithm>

#include "text/byte_level.h"
#include "text/unicode_class.h"
#include "text/vocabulary.h"

namespace fieldprint {
namespace {

constexpr std::string_view kKey = "tokenizer.ggml.pre";
constexpr std::string_view kByteLevel = "gpt2";  // as files call a vocabulary of byte-level BPE

bool is_silent(const GgufFile& file) {
  return file.string("tokenizer.ggml.model", "") == kByteLevel && file.string(kKey, "").empty();
}

// What tokens tell of the words that they were made of.
struct Evidence {
  int tokens = 0;
  size_t digits = 0;  // the longest token of digits alone has so many
  int spaced = 0;     // a space and digits: gpt-2 alone keeps the two together
  int marked = 0;     // a sign and letters, "(self": llama3 and what came after it
  int camel = 0;      // "eE": gpt-4o and tekken cut there
};

Evidence look_at(const GgufFile& file) {
  Evidence all;
  const GgufArray* tokens = file.array("tokenizer.ggml.tokens");
  const GgufArray* kinds = file.array("tokenizer.ggml.token_type");
  if (tokens == nullptr || tokens->kind != GgufKind::kString) return all;
  const CharClass* classes = char_classes();
  std::string text;
  for (uint64_t i = 0; i < tokens->count; ++i) {
    if (kinds != nullptr && i < kinds->count && kinds->integer(i) != static_cast<int>(TokenKind::kNormal)) continue;
    if (!bytes_from_alphabet(tokens->strings[i], text) || text.empty()) continue;
    ++all.tokens;
    const ClassedChar first = class_at(classes, text, 0);
    size_t counts[5] = {};  // characters after the first, by class
    size_t length = 0;
    bool lower = false;
    for (size_t at = first.length; at < text.size(); ++length) {
      const ClassedChar c = class_at(classes, text, at);
      ++counts[c.kind];
      all.camel += lower && text[at] >= 'A' && text[at] <= 'Z';
      lower = text[at] >= 'a' && text[at] <= 'z';
      at += c.length;
    }
    // Of ASCII: vocabularies that keep these apart have kept tokens of other scripts' digits.
    if (std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; }))
      all.digits = std::max(all.digits, text.size());
    if (length == 0) continue;
    all.spaced += text[0] == ' ' && counts[kNumber] == length;
    // An apostrophe and letters is how all cut "don't".
    all.marked +=
        first.kind == kOther && text[0] != '\'' && static_cast<uint8_t>(text[0]) < 0x80 && counts[kLetter] == length;
  }
  return all;
}

std::string_view guess(const Evidence& seen) {
  constexpr int kEnough = 1000;  // tokens: fewer do not show what is never there
  if (seen.marked > 0 && seen.marked >= seen.tokens / 1000) {
    if (seen.tokens >= kEnough && seen.camel == 0) return seen.digits > 1 ? "gpt-4o" : "tekken";
    return seen.digits > 1 ? "llama-bpe" : "qwen2";
  }
  if (seen.spaced > 0) return "gpt-2";
  if (seen.tokens < kEnough) return seen.digits == 3 ? "llama-bpe" : "default";
  return seen.digits <= 1 ? "smollm" : "default";
}

}  // namespace

const PreTokenizerRow& pre_tokenizer_of(const GgufFile& file) {
  return find_pre_tokenizer(is_silent(file) ? guess(look_at(file)) : file.string(kKey, ""));
}

std::string pre_tokenizer_warning(const GgufFile& file) {
  if (!is_silent(file)) return "";
  return "the file does not say how text is split into words (tokenizer.ggml.pre); its tokens look like those of '" +
         std::string(pre_tokenizer_of(file).name) +
         "', so that is used. Text may become other tokens than the model was "
         "trained with";
}

}  // namespace fieldprint
