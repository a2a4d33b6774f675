#include "text/charsmap.h"

#include "base/utf8.h"
#include "fieldprint/error.h"

namespace fieldprint {
namespace {

// No real key is longer (they are a few characters), and no replacement either (U+FDFA becomes 33 bytes).
constexpr size_t kKeyMax = 64;
constexpr size_t kReplacementMax = 256;

[[noreturn]] void damaged(const char* what) {
  throw Error(ErrorKind::kBadFile, what, "tokenizer.ggml.precompiled_charsmap");
}

}  // namespace

Charsmap::Charsmap(const GgufArray* map) {
  if (map == nullptr || map->count == 0) return;
  std::string bytes(map->count, '\0');
  for (uint64_t i = 0; i < map->count; ++i) bytes[i] = static_cast<char>(map->integer(i));
  const auto word = [&](size_t at) {
    uint32_t value = 0;
    for (size_t i = 4; i-- > 0;) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
    return value;
  };
  if (bytes.size() < 4) damaged("too short");
  const size_t trie_bytes = word(0);
  if (trie_bytes % 4 != 0 || trie_bytes > bytes.size() - 4) damaged("the trie reaches beyond the end");
  for (size_t at = 4; at < 4 + trie_bytes; at += 4) trie_.push_back(word(at));
  replacements_ = bytes.substr(4 + trie_bytes);
  if (!replacements_.empty() && replacements_.back() != '\0') damaged("the last replacement has no end");
}

// A unit of the trie: bits 0-7 and 31 label, bit 8 "a key ends here", bits 9-30 the offset to the children (bit 9:
// times 256). The child for a byte is at index ^ byte; a key's value is the low 31 bits of the child for NUL.
Charsmap::Step Charsmap::step(std::string_view text, size_t at) const {
  const auto offset = [](uint32_t u) { return static_cast<size_t>(u >> 10) << ((u & 1u << 9) >> 6); };
  size_t length = 0, value = 0;
  size_t index = offset(unit(0));
  for (size_t i = 0; !trie_.empty() && i < kKeyMax && at + i < text.size(); ++i) {
    const auto byte = static_cast<uint8_t>(text[at + i]);
    if (byte == 0) break;
    index ^= byte;
    const uint32_t u = unit(index);
    if ((u & (1u << 31 | 0xFFu)) != byte) break;
    index ^= offset(u);
    if (u >> 8 & 1u) {
      length = i + 1;
      value = unit(index) & 0x7FFFFFFFu;
    }
  }
  if (length > 0) {
    if (value >= replacements_.size()) damaged("a replacement lies outside");
    const std::string_view replacement(replacements_.c_str() + value);
    if (replacement.size() > kReplacementMax) damaged("a replacement of more than 256 bytes");
    return {length, replacement};
  }
  const Utf8Char c = utf8_at(text, at);
  return {c.length, c.broken() ? kReplacementText : text.substr(at, c.length)};
}

}  // namespace fieldprint
