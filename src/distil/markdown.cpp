#include "distil/markdown.h"

#include <algorithm>

#include "base/utf8.h"

namespace fieldprint::distil {
namespace {

bool invisible(uint32_t c) {
  return (c < 0x20 && c != '\n' && c != '\t') || (c >= 0x7F && c < 0xA0)  // controls
         || (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069)  // directions of writing
         || c == 0x2028 || c == 0x2029;
}

std::string shown(std::string_view text) {
  std::string clean;
  for (size_t at = 0; at < text.size();) {
    const Utf8Char c = utf8_at(text, at);
    at += c.length;
    if (c.code == '\r') continue;
    append_utf8(clean, invisible(c.code) ? kReplacement : c.code);
  }
  return clean;
}

size_t longest_run(std::string_view text, char of) {
  size_t longest = 0, run = 0;
  for (const char c : text) {
    run = c == of ? run + 1 : 0;
    longest = std::max(longest, run);
  }
  return longest;
}

std::string one_line(std::string_view text) {
  std::string line = shown(text);
  std::replace(line.begin(), line.end(), '\n', ' ');
  std::replace(line.begin(), line.end(), '\t', ' ');
  return line;
}

}  // namespace

std::string code_block(std::string_view text) {
  const std::string clean = shown(text);
  const std::string fence(std::max<size_t>(3, longest_run(clean, '`') + 1), '`');
  return fence + "text\n" + clean + (clean.ends_with('\n') ? "" : "\n") + fence + "\n";
}

std::string plain_text(std::string_view text) {
  std::string escaped;
  for (const char c : one_line(text)) {
    if (c == '<') escaped += "&lt;";
    else if (c == '>') escaped += "&gt;";
    else if (c == '&') escaped += "&amp;";
    else if (std::string_view("\\`*_{}[]()#+-.!|~:@").find(c) != std::string_view::npos) (escaped += '\\') += c;
    else escaped += c;
  }
  return escaped;
}

std::string code_span(std::string_view text) {
  std::string line = one_line(text);
  const std::string ticks(longest_run(line, '`') + 1, '`');
  // A bar ends a cell even within code; there it has to be escaped, and is shown without the backslash.
  std::string cell;
  for (const char c : line) (cell += c == '|' ? "\\" : "") += c;
  if (cell.find_first_not_of(' ') == std::string::npos) return "—";
  const bool space = cell.front() == '`' || cell.back() == '`';
  return ticks + (space ? " " : "") + cell + (space ? " " : "") + ticks;
}

}  // namespace fieldprint::distil
