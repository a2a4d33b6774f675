#include "answer_printer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cwchar>

#include "output.h"

namespace fieldprint::cli {

namespace {

constexpr size_t kLineStart = 3;  // bytes that tell code ("```") and tables ("|") from prose

// The first character of `text`, valid UTF-8, and the bytes that it takes.
struct Character {
  wchar_t code;
  size_t bytes;
};

Character first_character(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const size_t bytes = byte(0) < 0x80 ? 1 : byte(0) < 0xe0 ? 2 : byte(0) < 0xf0 ? 3 : 4;
  uint32_t code = bytes == 1 ? byte(0) : byte(0) & (0x7fu >> bytes);
  for (size_t i = 1; i < bytes && i < text.size(); ++i) code = code << 6 | (byte(i) & 0x3f);
  return {static_cast<wchar_t>(code), std::min(bytes, text.size())};
}

}  // namespace

void AnswerPrinter::write(std::string_view piece) {
  if (out_has_cursor()) write_wrapped(printable(piece));
  else write_data(piece);
  flush_out();
}

void AnswerPrinter::next_line() {
  if (line_start_.starts_with("```")) in_code_ = !in_code_;
  line_start_.clear();
  word_.clear();
  column_ = word_columns_ = 0;
}

// The last column stays free, so that the cursor never waits there for the line to turn. A word that is longer than a
// line is left to the terminal, which keeps it in one piece when it is copied.
void AnswerPrinter::write_wrapped(std::string_view text) {
  const int room = terminal_width() - 1;
  std::string out;
  while (!text.empty()) {
    const auto [code, bytes] = first_character(text);
    const std::string_view letter = text.substr(0, bytes);
    text.remove_prefix(bytes);
    if (code == L'\n') {
      out += letter;
      next_line();
      continue;
    }
    const bool space = code == L' ';
    if (line_start_.size() < kLineStart && !(space && line_start_.empty())) line_start_ += letter;
    const bool wraps = !in_code_ && !line_start_.starts_with("|");
    const int columns = code == L'\t' ? 8 - column_ % 8 : std::max(0, ::wcwidth(code));
    if (wraps && column_ + columns > room) {
      if (space) {
        out += '\n';
        word_.clear();
        column_ = word_columns_ = 0;
        continue;
      }
      if (word_columns_ < column_) {  // there is a space before the word
        if (word_columns_ > 0) out += fmt::format("\033[{}D\033[K", word_columns_);
        out += "\n" + word_;
        column_ = word_columns_;
      }
    }
    out += letter;
    column_ += columns;
    if (space || code == L'\t' || columns == 2) {  // scripts of wide letters break between any two
      word_.clear();
      word_columns_ = 0;
    } else {
      word_ += letter;
      word_columns_ += columns;
    }
    if (column_ > room + 1) column_ %= room + 1;
  }
  write_screen(out);
}

}  // namespace fieldprint::cli
