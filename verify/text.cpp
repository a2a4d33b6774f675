#include "text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace fieldprint::verify {
namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

int base64_value(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  if (c == '/') return 63;
  return -1;
}

// The code point at `text[at]` and its length in bytes; length 0 where there is none (RFC 3629).
struct CodePoint {
  uint32_t value = 0;
  size_t length = 0;
};

CodePoint code_point(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(at);
  if (first < 0x80) return {first, 1};
  const size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || at + length > text.size()) return {};
  uint32_t value = first & (0xFF >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    if ((byte(at + i) & 0xC0) != 0x80) return {};
    value = value << 6 | (byte(at + i) & 0x3F);
  }
  constexpr std::array<uint32_t, 5> kLeast = {0, 0, 0x80, 0x800, 0x10000};
  if (value < kLeast[length] || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) return {};
  return {value, length};
}

// Unicode's White_Space.
bool is_space(uint32_t c) {
  return (c >= 0x9 && c <= 0xD) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
         c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

template <typename Allowed>
bool all_code_points(std::string_view text, Allowed allowed) {
  for (size_t at = 0; at < text.size();) {
    const CodePoint point = code_point(text, at);
    if (point.length == 0 || !allowed(point.value)) return false;
    at += point.length;
  }
  return true;
}

}  // namespace

std::string hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (char c : bytes) {
    text += kDigits[static_cast<uint8_t>(c) >> 4];
    text += kDigits[static_cast<uint8_t>(c) & 15];
  }
  return text;
}

std::optional<std::string> from_hex(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  std::string bytes;
  bytes.reserve(text.size() / 2);
  for (size_t i = 0; i < text.size(); i += 2) {
    const int high = hex_value(text[i]), low = hex_value(text[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes += static_cast<char>(high << 4 | low);
  }
  return bytes;
}

std::optional<std::string> from_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  const size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  uint32_t bits = 0;
  int count = 0;
  for (char c : text.substr(0, text.size() - padding)) {
    const int value = base64_value(c);
    if (value < 0) return std::nullopt;
    bits = (bits << 6 | static_cast<uint32_t>(value)) & 0xFFFFFF;
    count += 6;
    if (count >= 8) bytes += static_cast<char>(bits >> (count -= 8));
  }
  if ((bits & ((1U << count) - 1)) != 0) return std::nullopt;
  return bytes;
}

std::optional<uint64_t> from_decimal(std::string_view text) {
  if (text.empty() || text.size() > 19 || (text.size() > 1 && text[0] == '0')) return std::nullopt;
  uint64_t value = 0;  // 19 digits fit into 64 bits
  for (char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<uint64_t>(c - '0');
  }
  if (value >> 63 != 0) return std::nullopt;
  return value;
}

bool is_utf8(std::string_view text) {
  return all_code_points(text, [](uint32_t) { return true; });
}

bool is_note_text(std::string_view text) {
  return all_code_points(text, [](uint32_t c) { return c >= 0x20 || c == '\n'; });
}

bool is_key_name(std::string_view name) {
  return !name.empty() && all_code_points(name, [](uint32_t c) { return c >= 0x20 && c != '+' && !is_space(c); });
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    lines.push_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

std::string printable(std::string_view text, size_t length_max) {
  const std::string_view shown = text.substr(0, length_max);
  std::string result;
  for (size_t at = 0; at < shown.size();) {
    const CodePoint point = code_point(shown, at);
    // C1 controls steer terminals too; bidirectional controls reorder what stands around them.
    const bool control = point.value < 0x20 || (point.value >= 0x7F && point.value < 0xA0) ||
                         (point.value >= 0x200B && point.value <= 0x200F) ||
                         (point.value >= 0x2028 && point.value <= 0x202E) ||
                         (point.value >= 0x2066 && point.value <= 0x2069) || point.value == 0xFEFF;
    const size_t length = std::max<size_t>(point.length, 1);
    if (point.length != 0 && !control) {
      result += shown.substr(at, length);
    } else {
      for (char c : shown.substr(at, length)) result += fmt::format("\\x{:02x}", static_cast<uint8_t>(c));
    }
    at += length;
  }
  return text.size() > length_max ? result + "..." : result;
}

std::string grouped(uint64_t number) {
  std::string text = std::to_string(number);
  for (size_t at = text.size(); at > 3;) text.insert(at -= 3, ",");
  return text;
}

}  // namespace fieldprint::verify
