#include "fieldprint/tokenizer.h"
#include "text/utf8.h"

namespace fieldprint {
namespace {

// The bytes at text[at] that could still become a character by what follows: 0 where they are one or never will be.
size_t unfinished(std::string_view text, size_t at) {
  const size_t left = text.size() - at;
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[at + i]); };
  const uint8_t lead = byte(0);
  const size_t wanted = lead >= 0xC2 && lead <= 0xDF   ? 2
                        : lead >= 0xE0 && lead <= 0xEF ? 3
                        : lead >= 0xF0 && lead <= 0xF4 ? 4
                                                       : 0;
  if (wanted <= left) return 0;
  // The second byte decides about overlong forms, surrogates and what lies beyond U+10FFFF.
  const uint8_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const uint8_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  if (left > 1 && (byte(1) < low || byte(1) > high)) return 0;
  if (left > 2 && (byte(2) & 0xC0) != 0x80) return 0;
  return left;
}

// Moves whole characters from `pending` to the result, broken bytes as U+FFFD.
std::string take_whole(std::string& pending) {
  std::string text;
  size_t at = 0;
  while (at < pending.size()) {
    const Utf8Char c = utf8_at(pending, at);
    if (c.broken() && unfinished(pending, at) > 0) break;
    text += c.broken() ? kReplacementText : std::string_view(pending).substr(at, c.length);
    at += c.length;
  }
  pending.erase(0, at);
  return text;
}

}  // namespace

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, bool special) : tokenizer_(tokenizer), special_(special) {}

std::string StreamDecoder::push(TokenId token) {
  std::string_view piece = tokenizer_.piece(token, special_);
  if (piece.starts_with(' ') && tokenizer_.space_is_prefix_after(previous_) &&
      !tokenizer_.space_is_prefix_after(token)) {
    piece.remove_prefix(1);
  }
  previous_ = token;
  pending_ += piece;
  return take_whole(pending_);
}

std::string StreamDecoder::finish() {
  std::string text;
  for (size_t i = 0; i < pending_.size(); ++i) text += kReplacementText;
  pending_.clear();
  previous_ = kNoToken;
  return text;
}

}  // namespace fieldprint
