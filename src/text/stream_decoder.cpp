#include "base/utf8.h"
#include "fieldprint/tokenizer.h"

namespace fieldprint {
namespace {

struct Piece {
  size_t wanted;  // bytes of the character that the first one begins; 0 where it begins none
  size_t bytes;   // of these, how many are there: at least 1
};

// What stands at text[at]: a character, the beginning of one, or a byte that belongs to none.
Piece piece_at(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[at + i]); };
  const uint8_t lead = byte(0);
  const size_t wanted = lead < 0x80                    ? 1
                        : lead >= 0xC2 && lead <= 0xDF ? 2
                        : lead >= 0xE0 && lead <= 0xEF ? 3
                        : lead >= 0xF0 && lead <= 0xF4 ? 4
                                                       : 0;
  // The second byte decides about overlong forms, surrogates and what lies beyond U+10FFFF.
  const uint8_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const uint8_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  size_t bytes = 1;
  while (bytes < wanted && at + bytes < text.size()) {
    const uint8_t next = byte(bytes);
    if (bytes == 1 ? next < low || next > high : (next & 0xC0) != 0x80) break;
    ++bytes;
  }
  return {wanted, bytes};
}

// Moves whole characters from `pending` to the result. What is broken becomes U+FFFD, one for each beginning of a
// character and one for each other byte: the Unicode Standard's "substitution of maximal subparts".
std::string take_whole(std::string& pending) {
  std::string text;
  size_t at = 0;
  while (at < pending.size()) {
    const auto [wanted, bytes] = piece_at(pending, at);
    if (bytes < wanted && at + bytes == pending.size()) break;  // the rest may still come
    text += bytes == wanted ? std::string_view(pending).substr(at, bytes) : kReplacementText;
    at += bytes;
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
  const bool cut_off = !pending_.empty();  // it is the beginning of one character
  pending_.clear();
  previous_ = kNoToken;
  return std::string(cut_off ? kReplacementText : "");
}

}  // namespace fieldprint
