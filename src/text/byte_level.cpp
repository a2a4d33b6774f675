#include "text/byte_level.h"

#include <array>
#include <cstdint>

#include "base/utf8.h"

namespace fieldprint {
namespace {

constexpr uint32_t kAlphabetEnd = 0x144;

constexpr bool stands_for_itself(uint32_t byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

struct Alphabet {
  std::array<uint16_t, 256> code{};          // byte -> code point
  std::array<int16_t, kAlphabetEnd> byte{};  // code point -> byte, or -1
};

constexpr Alphabet make_alphabet() {
  Alphabet alphabet;
  alphabet.byte.fill(-1);
  uint32_t next = 0x100;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    const uint32_t code = stands_for_itself(byte) ? byte : next++;
    alphabet.code[byte] = static_cast<uint16_t>(code);
    alphabet.byte[code] = static_cast<int16_t>(byte);
  }
  return alphabet;
}

constexpr Alphabet kAlphabet = make_alphabet();

}  // namespace

bool bytes_from_alphabet(std::string_view text, std::string& bytes) {
  bytes.clear();
  for (size_t at = 0; at < text.size();) {
    const Utf8Char c = utf8_at(text, at);
    if (c.code >= kAlphabetEnd || kAlphabet.byte[c.code] < 0) return false;
    bytes.push_back(static_cast<char>(kAlphabet.byte[c.code]));
    at += c.length;
  }
  return true;
}

std::string bytes_to_alphabet(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) append_utf8(text, kAlphabet.code[static_cast<uint8_t>(c)]);
  return text;
}

}  // namespace fieldprint
