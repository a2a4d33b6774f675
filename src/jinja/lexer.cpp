#include "jinja/lexer.h"

#include <fmt/format.h>

#include <algorithm>

#include "jinja/unicode.h"

namespace fieldprint::jinja {
namespace {

class Lexer {
 public:
  explicit Lexer(Program& program) : heap_(program.heap), source_(program.source) {}

  std::vector<Token> run() {
    while (pos_ < source_.size()) lex_text();
    push(TokenKind::kEnd, {});
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void fail_at(const std::string& message) const { throw SyntaxFailure{message, line_}; }
  void push(TokenKind kind, std::string_view text) { tokens_.push_back({kind, line_, text}); }
  std::string_view rest() const { return source_.substr(pos_); }
  bool at(std::string_view text) const { return rest().starts_with(text); }
  char peek(size_t ahead = 0) const { return pos_ + ahead < source_.size() ? source_[pos_ + ahead] : '\0'; }

  void move_to(size_t pos) {
    line_ += static_cast<uint32_t>(std::count(source_.begin() + static_cast<ptrdiff_t>(pos_),
                                              source_.begin() + static_cast<ptrdiff_t>(pos), '\n'));
    pos_ = pos;
  }

  // Where white space that begins at `pos` ends.
  size_t after_space(size_t pos) const {
    while (pos < source_.size()) {
      size_t next = pos;
      if (!is_space(decode_at(source_, next))) break;
      pos = next;
    }
    return pos;
  }

  // Text up to `end`, where a tag with this sign begins. Printing tags leave the space before them alone.
  void push_text(size_t end, char sign, bool is_print) {
    std::string_view text = source_.substr(pos_, end - pos_);
    if (sign == '-') {
      size_t keep = text.size();
      while (keep > 0) {
        size_t before = keep;
        if (!is_space(decode_before(text, before))) break;
        keep = before;
      }
      text = text.substr(0, keep);
    } else if (sign != '+' && !is_print) {
      const size_t newline = text.rfind('\n');
      if (newline != text.npos || line_starts_) {
        const size_t line = newline == text.npos ? 0 : newline + 1;
        size_t pos = line;
        while (pos < text.size()) {
          if (!is_space(decode_at(text, pos))) break;
          if (pos == text.size()) text = text.substr(0, line);
        }
      }
    }
    if (!text.empty()) push(TokenKind::kText, text);
    move_to(end);
  }

  // The end of a tag at `pos`: past it with its sign and what the sign removes; 0 where it is not there.
  size_t tag_end(size_t pos, std::string_view end, bool takes_newline) const {
    const std::string_view text = source_.substr(pos);
    if (text.starts_with('-') && text.substr(1).starts_with(end)) return after_space(pos + 1 + end.size());
    if (takes_newline && text.starts_with('+') && text.substr(1).starts_with(end)) return pos + 1 + end.size();
    if (!text.starts_with(end)) return 0;
    pos += end.size();
    return takes_newline && pos < source_.size() && source_[pos] == '\n' ? pos + 1 : pos;
  }

  void finish_tag(size_t end) {
    line_starts_ = source_[end - 1] == '\n';
    move_to(end);
  }

  void lex_text() {
    size_t start = pos_;
    for (;; ++start) {
      start = source_.find('{', start);
      if (start == source_.npos || start + 1 >= source_.size()) {
        push_text(source_.size(), '+', false);
        return;
      }
      const char c = source_[start + 1];
      if (c == '{' || c == '%' || c == '#') break;
    }
    const char tag = source_[start + 1];
    const char sign = start + 2 < source_.size() ? source_[start + 2] : '\0';
    const bool has_sign = sign == '-' || sign == '+';
    const size_t inside = start + 2 + has_sign;
    push_text(start, has_sign ? sign : '\0', tag == '{');
    if (tag == '#') {
      lex_comment(inside);
    } else if (const size_t raw = tag == '%' ? raw_begin(inside) : 0) {
      lex_raw(raw);
    } else {
      push(tag == '{' ? TokenKind::kPrintBegin : TokenKind::kBlockBegin, source_.substr(start, 2));
      move_to(inside);
      lex_tag(tag == '{');
    }
  }

  void lex_comment(size_t inside) {
    size_t end = source_.find("#}", inside);
    if (end == source_.npos) fail_at("Missing end of comment tag");
    if (end > inside && (source_[end - 1] == '-' || source_[end - 1] == '+')) --end;
    finish_tag(tag_end(end, "#}", true));
  }

  // {% raw %} from behind its {%: where its content begins, or 0.
  size_t raw_begin(size_t pos) const {
    pos = after_space(pos);
    if (!source_.substr(pos).starts_with("raw")) return 0;
    pos = after_space(pos + 3);
    const size_t end = tag_end(pos, "%}", false);
    return end;
  }

  void lex_raw(size_t content) {
    finish_tag(content);
    if (pos_ == source_.size()) return;
    for (size_t start = source_.find("{%", pos_); start != source_.npos; start = source_.find("{%", start + 1)) {
      const char sign = start + 2 < source_.size() ? source_[start + 2] : '\0';
      const bool has_sign = sign == '-' || sign == '+';
      size_t pos = after_space(start + 2 + has_sign);
      if (!source_.substr(pos).starts_with("endraw")) continue;
      pos = after_space(pos + 6);
      const size_t end = tag_end(pos, "%}", true);
      if (end == 0) continue;
      push_text(start, has_sign ? sign : '\0', false);
      finish_tag(end);
      return;
    }
    fail_at("Missing end of raw directive");
  }

  void lex_tag(bool is_print) {
    while (true) {
      move_to(after_space(pos_));
      if (pos_ >= source_.size()) return;  // the parser says what is missing
      if (brackets_.empty()) {
        if (const size_t end = tag_end(pos_, is_print ? "}}" : "%}", !is_print)) {
          push(is_print ? TokenKind::kPrintEnd : TokenKind::kBlockEnd, source_.substr(pos_, 2));
          finish_tag(end);
          return;
        }
      }
      const char c = peek();
      if (c >= '0' && c <= '9') lex_number();
      else if (c == '\'' || c == '"') lex_string();
      else if (!lex_name()) lex_operator();
    }
  }

  // Digits of a set, with single underscores between them, from pos; the position behind.
  template <class IsDigit>
  size_t digits(size_t pos, IsDigit is_digit_) const {
    while (pos < source_.size()) {
      if (is_digit_(source_[pos])) ++pos;
      else if (source_[pos] == '_' && pos + 1 < source_.size() && is_digit_(source_[pos + 1])) pos += 2;
      else break;
    }
    return pos;
  }

  void lex_number() {
    const auto decimal = [](char c) { return c >= '0' && c <= '9'; };
    const size_t whole = digits(pos_, decimal);
    size_t end = whole;
    if (pos_ == 0 || source_[pos_ - 1] != '.') {  // x.1.2 is two subscripts
      const auto at_digit = [&](size_t pos) { return pos < source_.size() && decimal(source_[pos]); };
      if (end < source_.size() && source_[end] == '.' && at_digit(end + 1)) end = digits(end + 1, decimal);
      if (end < source_.size() && (source_[end] | 32) == 'e') {
        const size_t sign = end + 1 < source_.size() && (source_[end + 1] == '+' || source_[end + 1] == '-');
        if (at_digit(end + 1 + sign)) end = digits(end + 1 + sign, decimal);
      }
    }
    TokenKind kind = TokenKind::kFloat;
    if (end == whole) {
      kind = TokenKind::kInteger;
      end = integer_end(whole);
    }
    push(kind, source_.substr(pos_, end - pos_));
    pos_ = end;
  }

  size_t integer_end(size_t decimal_end) const {
    if (peek() != '0') return decimal_end;
    const char base = static_cast<char>(peek(1) | 32);
    const auto valid = [base](char c) {
      if (base == 'b') return c == '0' || c == '1';
      if (base == 'o') return c >= '0' && c <= '7';
      return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'f');
    };
    if (base == 'b' || base == 'o' || base == 'x') {
      const size_t end = digits(pos_ + 2, valid);
      if (end > pos_ + 2) return end;
    }
    return digits(pos_, [](char c) { return c == '0'; });
  }

  bool lex_name() {
    size_t end = pos_;
    while (end < source_.size()) {
      size_t next = end;
      if (!is_word(decode_at(source_, next))) break;
      end = next;
    }
    if (end == pos_) return false;
    push(TokenKind::kName, source_.substr(pos_, end - pos_));
    pos_ = end;
    return true;
  }

  void lex_operator() {
    static constexpr std::string_view kTwo[] = {"**", "//", "==", "!=", ">=", "<="};
    static constexpr std::string_view kOne = "+-/*%~[](){}><=.:|,;";
    const bool two = std::any_of(std::begin(kTwo), std::end(kTwo), [&](std::string_view op) { return at(op); });
    const char c = peek();
    if (!two && kOne.find(c) == kOne.npos) {
      size_t end = pos_;
      decode_at(source_, end);
      fail_at(fmt::format("unexpected char '{}' at {}", source_.substr(pos_, end - pos_), pos_));
    }
    if (c == '(' || c == '[' || c == '{') brackets_ += c == '(' ? ')' : c == '[' ? ']' : '}';
    if (c == ')' || c == ']' || c == '}') {
      if (brackets_.empty()) fail_at(fmt::format("unexpected '{}'", c));
      if (brackets_.back() != c) fail_at(fmt::format("unexpected '{}', expected '{}'", c, brackets_.back()));
      brackets_.pop_back();
    }
    push(TokenKind::kOperator, source_.substr(pos_, two ? 2 : 1));
    pos_ += two ? 2 : 1;
  }

  void lex_string() {
    const char quote = peek();
    size_t end = pos_ + 1;
    bool escaped = false;
    while (end < source_.size() && source_[end] != quote) {
      if (source_[end] == '\\') escaped = true, ++end;
      ++end;
    }
    if (end >= source_.size()) fail_at(fmt::format("unexpected char '{}' at {}", quote, pos_));
    std::string_view text = source_.substr(pos_ + 1, end - pos_ - 1);
    if (escaped) text = make_string(heap_, unescape(text)).str().view();
    push(TokenKind::kString, text);
    move_to(end + 1);
  }

  // Python's escapes in a string literal.
  std::string unescape(std::string_view text) const {
    std::string out;
    for (size_t i = 0; i < text.size();) {
      if (text[i] != '\\') {
        out += text[i++];
        continue;
      }
      const char c = text[i + 1];
      i += 2;
      switch (c) {
        case '\n':
          break;
        case '\\':
        case '\'':
        case '"':
          out += c;
          break;
        case 'a':
          out += '\a';
          break;
        case 'b':
          out += '\b';
          break;
        case 'f':
          out += '\f';
          break;
        case 'n':
          out += '\n';
          break;
        case 'r':
          out += '\r';
          break;
        case 't':
          out += '\t';
          break;
        case 'v':
          out += '\v';
          break;
        case 'x':
          append_utf8(out, hex(text, i, 2));
          break;
        case 'u':
          append_utf8(out, hex(text, i, 4));
          break;
        case 'U':
          append_utf8(out, hex(text, i, 8));
          break;
        case 'N':
          fail_at("\\N{...}, a character by its name, is not supported");
        default:
          if (c >= '0' && c <= '7') {
            --i;
            uint32_t value = 0;
            for (int n = 0; n < 3 && i < text.size() && text[i] >= '0' && text[i] <= '7'; ++n) {
              value = value * 8 + static_cast<uint32_t>(text[i++] - '0');
            }
            append_utf8(out, value);
          } else {
            out += '\\';
            out += c;
          }
      }
    }
    return out;
  }

  uint32_t hex(std::string_view text, size_t& i, size_t length) const {
    uint32_t value = 0;
    for (size_t n = 0; n < length; ++n, ++i) {
      const char c = i < text.size() ? text[i] : '\0';
      const char lower = static_cast<char>(c | 32);
      if (c >= '0' && c <= '9') value = value << 4 | static_cast<uint32_t>(c - '0');
      else if (lower >= 'a' && lower <= 'f') value = value << 4 | static_cast<uint32_t>(lower - 'a' + 10);
      else fail_at(fmt::format("truncated escape: {} hexadecimal digits are needed", length));
    }
    if (value > 0x10FFFF) fail_at("illegal Unicode character");
    if (value >= 0xD800 && value < 0xE000) fail_at("half of a surrogate pair is no character");
    return value;
  }

  Heap& heap_;
  std::string_view source_;
  std::vector<Token> tokens_;
  std::string brackets_;  // the closing ones that are due
  size_t pos_ = 0;
  uint32_t line_ = 1;
  bool line_starts_ = true;  // the last tag took its newline along
};

}  // namespace

std::string normalise_newlines(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') out += source[i];
    else if (i + 1 == source.size() || source[i + 1] != '\n') out += '\n';
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

std::vector<Token> tokenize(Program& program) { return Lexer(program).run(); }

}  // namespace fieldprint::jinja
