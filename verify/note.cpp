#include "note.h"

#include <fmt/format.h>
#include <sodium.h>

#include <algorithm>
#include <cstring>

#include "hash.h"
#include "text.h"

namespace fieldprint::verify {
namespace {

constexpr std::string_view kDash = "\xE2\x80\x94 ";  // em dash, space
constexpr size_t kSignaturesMax = 64;
constexpr size_t kSignatureBytesMax = 8192;
constexpr size_t kTimeBytes = 8;

uint32_t big_endian(std::string_view bytes) {
  uint32_t number = 0;
  for (char c : bytes.substr(0, 4)) number = number << 8 | static_cast<uint8_t>(c);
  return number;
}

std::optional<SignatureLine> parse_line(std::string_view line) {
  if (!line.starts_with(kDash)) return std::nullopt;
  line.remove_prefix(kDash.size());
  const size_t space = line.find(' ');
  if (space == std::string_view::npos || !is_key_name(line.substr(0, space))) return std::nullopt;
  const std::optional<std::string> bytes = from_base64(line.substr(space + 1));
  if (!bytes || bytes->size() < 5 || bytes->size() > kSignatureBytesMax) return std::nullopt;
  return SignatureLine{line.substr(0, space), big_endian(*bytes), bytes->substr(4)};
}

bool verifies(const Vkey& key, std::string_view message, std::string_view signature) {
  return signature.size() == crypto_sign_BYTES &&
         crypto_sign_verify_detached(reinterpret_cast<const uint8_t*>(signature.data()),
                                     reinterpret_cast<const uint8_t*>(message.data()), message.size(),
                                     key.key.data()) == 0;
}

bool right(const Note& note, const SignatureLine& line, const Vkey& key) {
  if (key.type == kEd25519) return verifies(key, note.text, line.bytes);
  if (line.bytes.size() != kTimeBytes + crypto_sign_BYTES) return false;
  const uint64_t time = cosignature_time(line);
  if (time >> 63 != 0) return false;
  return verifies(key, fmt::format("cosignature/v1\ntime {}\n{}", time, note.text),
                  std::string_view(line.bytes).substr(kTimeBytes));
}

}  // namespace

std::optional<Vkey> parse_vkey(std::string_view text) {
  const size_t first = text.find('+');
  if (first == std::string_view::npos) return std::nullopt;
  const size_t second = text.find('+', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  Vkey key;
  key.text = text;
  key.name = text.substr(0, first);
  const std::optional<std::string> id = from_hex(text.substr(first + 1, second - first - 1));
  const std::optional<std::string> bytes = from_base64(text.substr(second + 1));
  if (!is_key_name(key.name) || !id || id->size() != 4 || !bytes || bytes->size() != 1 + key.key.size())
    return std::nullopt;
  key.type = static_cast<uint8_t>((*bytes)[0]);
  if (key.type != kEd25519 && key.type != kCosignature) return std::nullopt;
  std::memcpy(key.key.data(), bytes->data() + 1, key.key.size());
  const Hash hash = sha256({key.name, "\n", *bytes});
  if (view(hash).substr(0, 4) != *id) return std::nullopt;
  key.id = big_endian(*id);
  return key;
}

std::optional<Note> parse_note(std::string_view bytes, std::string& error) {
  if (!is_note_text(bytes)) {
    error = "It is not UTF-8 text without control characters.";
    return std::nullopt;
  }
  // The last empty line ends the text: a signature line is never empty.
  const size_t empty = bytes.rfind("\n\n");
  if (empty == std::string_view::npos || !bytes.ends_with('\n') || empty + 2 == bytes.size()) {
    error = "It is not a text, an empty line and signature lines, with a newline at its end.";
    return std::nullopt;
  }
  Note note;
  note.text = bytes.substr(0, empty + 1);
  const std::vector<std::string_view> lines = lines_of(bytes.substr(empty + 2));
  if (lines.size() > kSignaturesMax) {
    error = fmt::format("It has {} signatures, and may have {}.", lines.size(), kSignaturesMax);
    return std::nullopt;
  }
  for (std::string_view line : lines) {
    std::optional<SignatureLine> signature = parse_line(line);
    if (!signature) {
      error = fmt::format("This is not a signature line: {}", printable(line));
      return std::nullopt;
    }
    note.signatures.push_back(std::move(*signature));
  }
  return note;
}

Signed signature_of(const Note& note, const Vkey& key) {
  Signed result = Signed::kNo;
  for (const SignatureLine& line : note.signatures) {
    if (line.name != key.name || line.id != key.id) continue;
    if (!right(note, line, key)) return Signed::kWrong;
    result = Signed::kRight;
  }
  return result;
}

uint64_t cosignature_time(const SignatureLine& line) {
  uint64_t time = 0;
  for (char c : line.bytes.substr(0, kTimeBytes)) time = time << 8 | static_cast<uint8_t>(c);
  return time;
}

}  // namespace fieldprint::verify
