#include "distil/markdown.h"

#include <algorithm>
#include <cctype>

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

// Escapes only what would mean something where it stands: a page full of backslashes is read by nobody.
std::string plain_text(std::string_view text) {
  const std::string line = one_line(text);
  const auto word = [&](size_t i) {
    return i < line.size() && (std::isalnum(static_cast<unsigned char>(line[i])) != 0);
  };
  const size_t first = line.find_first_not_of(' '), digits = line.find_first_not_of(" 0123456789");
  std::string escaped;
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    bool mark = std::string_view("\\`*[]!|~@").find(c) != std::string_view::npos;
    mark |= i == first && std::string_view("#+-=").find(c) != std::string_view::npos;  // a heading, a list, a rule
    mark |= i == digits && i > first && (c == '.' || c == ')');                        // "1." is a list
    mark |= c == '_' && !(i > 0 && word(i - 1) && word(i + 1));                        // emphasis, but not in arc_easy
    mark |= (c == ':' && i + 1 < line.size() && line[i + 1] == '/') ||                 // an address becomes a link
            (c == '.' && i > 0 && (line[i - 1] == 'w' || line[i - 1] == 'W'));         // www.
    if (c == '<') escaped += "&lt;";
    else if (c == '>') escaped += "&gt;";
    else if (c == '&') escaped += "&amp;";
    else (escaped += mark ? "\\" : "") += c;
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
