#include "chat/python_literal.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <set>
#include <string>

#include "base/utf8.h"
#include "jinja/repr.h"
#include "text/unicode_class.h"

namespace fieldprint {
namespace {

constexpr int kMaxDepth = 100;
constexpr size_t kMaxDigits = 4300;

struct Range {
  uint32_t first, last;
};
// Letters and marks that Python does not allow in a name, or that its normal form of names (NFKC) changes.
constexpr Range kUnsafeInNames[] = {
#include "chat/python_names.inc"
};

bool safe_in_names(uint32_t c) {
  const auto* after = std::upper_bound(std::begin(kUnsafeInNames), std::end(kUnsafeInNames), c,
                                       [](uint32_t code, const Range& range) { return code < range.first; });
  return after == std::begin(kUnsafeInNames) || c > after[-1].last;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
int digit_value(char c) {
  if (is_digit(c)) return c - '0';
  const char lower = static_cast<char>(c | 32);
  return lower >= 'a' && lower <= 'z' ? lower - 'a' + 10 : 99;
}

// The digits of an integer in base 2, 8 or 16 in base 10.
std::string to_decimal(std::string_view digits, uint32_t base) {
  constexpr uint64_t kLimb = 1'000'000'000;
  std::vector<uint64_t> limbs = {0};  // least first
  for (const char digit : digits) {
    uint64_t carry = static_cast<uint64_t>(digit_value(digit));
    for (uint64_t& limb : limbs) {
      limb = limb * base + carry;
      carry = limb / kLimb;
      limb %= kLimb;
    }
    if (carry > 0) limbs.push_back(carry);
  }
  std::string out = fmt::format("{}", limbs.back());
  for (size_t i = limbs.size() - 1; i-- > 0;) out += fmt::format("{:09}", limbs[i]);
  return out;
}

// Of digits with a point or an exponent that are not all zeros.
bool is_below_one(std::string_view digits) {
  const size_t e = std::min(digits.find('e'), digits.size()), point = std::min(digits.find('.'), e);
  const size_t first = digits.find_first_not_of("0.");
  int64_t exponent = 0;
  const std::string_view power = digits.substr(std::min(e + 1, digits.size()));
  if (std::from_chars(power.data(), power.data() + power.size(), exponent).ec == std::errc::result_out_of_range)
    return power.starts_with('-');
  exponent = std::clamp<int64_t>(exponent, -1'000'000'000'000, 1'000'000'000'000);  // the sum below does not overflow
  return static_cast<int64_t>(point) - static_cast<int64_t>(first) + (first > point) + exponent <= 0;
}

// `text`, which may be the halves of surrogate pairs, as JSON reads them: two that follow each other are one character.
// False where a half stands alone.
bool append_json_string(std::string& out, std::u32string_view text) {
  out += '"';
  for (size_t i = 0; i < text.size(); ++i) {
    uint32_t c = text[i];
    if (c >= 0xD800 && c < 0xDC00 && i + 1 < text.size() && text[i + 1] >= 0xDC00 && text[i + 1] < 0xE000) {
      c = 0x10000 + ((c - 0xD800) << 10) + (text[++i] - 0xDC00);
    }
    if (c >= 0xD800 && c < 0xE000) return false;
    constexpr std::string_view kPlain = "\"\\\b\f\n\r\t", kLetters = "\"\\bfnrt";
    if (const size_t at = c < 128 ? kPlain.find(static_cast<char>(c)) : kPlain.npos; at != kPlain.npos) {
      out += '\\';
      out += kLetters[at];
    } else if (c < 0x20) {
      out += fmt::format("\\u{:04x}", c);
    } else {
      append_utf8(out, c);
    }
  }
  out += '"';
  return true;
}

// \r\n and \r are \n to Python, inside strings too.
std::string with_plain_newlines(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\r') out += text[i];
    else if (i + 1 == text.size() || text[i + 1] != '\n') out += '\n';
  }
  return out;
}

// A literal as JSON, and what it is as a key of a dict: equal keys have equal `key`s, 1, 1.0 and True among them.
struct Literal {
  std::string json;
  std::string key;   // empty: json.dumps takes no such key
  std::string name;  // as a JSON string
};

class Reader {
 public:
  explicit Reader(std::string_view text) : source_(with_plain_newlines(text)), text_(source_) {
    for (size_t i = 0; i < text_.size(); i += utf8_at(text_, i).length) {
      if (text_[i] == '\0' || utf8_at(text_, i).broken()) refuse_at(i, "this byte cannot stand in Python's text");
    }
  }

  std::vector<ToolCall> calls() {
    std::vector<ToolCall> calls;
    expect('[', "a list of calls begins with '['");
    while (!eat(']')) {
      ToolCall& call = calls.emplace_back();
      call.name = name(true);
      call.arguments = arguments();
      separator(']');
    }
    if (peek() != kEnd) refuse("nothing may follow the list of calls");
    return calls;
  }

 private:
  static constexpr char kEnd = '\0';

  [[noreturn]] void refuse(const std::string& why) const { refuse_at(at_, why); }
  [[noreturn]] void refuse_at(size_t at, const std::string& why) const {
    size_t character = 1;
    for (size_t i = 0; i < at; i += utf8_at(text_, i).length) ++character;
    throw PythonRefusal(fmt::format("character {}: {}", character, why));
  }

  // Inside brackets newlines, comments and joined lines are white space.
  char peek() {
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '#') at_ = std::min(text_.find('\n', at_), text_.size() - 1);
      else if (c == '\\' && text_.substr(at_, 2) == "\\\n") ++at_;
      else if (c != ' ' && c != '\t' && c != '\f' && c != '\n') return c;
    }
    return kEnd;
  }
  bool eat(char c) { return peek() == c && (++at_, true); }
  void expect(char c, const char* why) {
    if (!eat(c)) refuse(why);
  }
  void separator(char end) {
    if (!eat(',') && peek() != end) refuse(fmt::format("',' or '{}' is missing", end));
  }
  char ahead(size_t n = 0) const { return at_ + n < text_.size() ? text_[at_ + n] : kEnd; }

  // One that is its own normal form, so that Python reads the same.
  std::string name(bool of_function) {
    peek();
    const size_t begin = at_;
    const CharClass* classes = char_classes();
    for (CharClass last = kOther; at_ < text_.size();) {
      const char c = text_[at_];
      const Utf8Char letter = utf8_at(text_, at_);
      const CharClass kind = letter.length > 1 ? classes[letter.code] : kOther;
      if (letter.length == 1) {
        const bool inside = at_ > begin && (is_digit(c) || (of_function && (c == '.' || c == '-')));
        if (!is_letter(c) && !inside) break;
      } else {
        // Two marks in a row may have to change places.
        const bool allowed = kind == kLetter || (kind == kMark && at_ > begin && last != kMark);
        if (!allowed || !safe_in_names(letter.code)) refuse("this character in a name may be another one to Python");
      }
      last = kind;
      at_ += letter.length;
    }
    if (at_ > begin && (text_[at_ - 1] == '.' || text_[at_ - 1] == '-')) refuse("the name of a function is not whole");
    if (at_ == begin) refuse(of_function ? "the name of a function is missing" : "the name of an argument is missing");
    return std::string(text_.substr(begin, at_ - begin));
  }

  std::string arguments() {
    expect('(', "'(' is missing");
    std::string out = "{";
    std::set<std::string> names;
    while (!eat(')')) {
      const size_t begin = at_;
      const std::string key = name(false);
      if (!names.insert(key).second) refuse_at(begin, "an argument comes twice");
      expect('=', "'=' is missing: arguments are named");
      out += names.size() > 1 ? ",\"" : "\"";
      out += key + "\":" + value(0).json;
      separator(')');
    }
    return out + "}";
  }

  Literal value(int depth) {
    if (depth > kMaxDepth) refuse("the value is nested too deeply");
    const char c = peek();
    if (c == '[') return list(depth);
    if (c == '{') return dict(depth);
    if (c == '(') return parenthesised(depth);
    if (c == '+' || c == '-') {
      ++at_;
      return number(c == '-', depth);
    }
    if (is_digit(c) || c == '.') return number(false, depth);
    if (c == '"' || c == '\'') return strings();
    if (is_letter(c)) {
      size_t end = at_;
      while (end < text_.size() && (is_letter(text_[end]) || is_digit(text_[end]))) ++end;
      if (end < text_.size() && end - at_ <= 2 && (text_[end] == '"' || text_[end] == '\'')) return strings();
      const std::string_view word = text_.substr(at_, end - at_);
      for (const auto& [python, json] : {std::pair("True", "true"), {"False", "false"}, {"None", "null"}}) {
        if (word != python && word != json) continue;
        at_ = end;
        const bool none = word[0] == 'N' || word[0] == 'n';
        return {json, none ? "none" : fmt::format("number {}", word[0] == 'T' || word[0] == 't' ? 1 : 0),
                fmt::format("\"{}\"", json)};
      }
    }
    refuse("this is not a literal");
  }

  Literal list(int depth) {
    expect('[', "");
    std::string out = "[";
    while (!eat(']')) {
      if (out.size() > 1) out += ',';
      out += value(depth + 1).json;
      separator(']');
    }
    return {out + "]", {}, {}};
  }

  // A tuple where there is a comma, or nothing; else the value itself.
  Literal parenthesised(int depth) {
    expect('(', "");
    if (eat(')')) return {"[]", {}, {}};
    Literal first = value(depth + 1);
    if (eat(')')) return first;
    std::string out = "[" + first.json;
    separator(')');
    while (!eat(')')) {
      out += "," + value(depth + 1).json;
      separator(')');
    }
    return {out + "]", {}, {}};
  }

  Literal dict(int depth) {
    const size_t begin = at_;
    expect('{', "");
    struct Entry {
      std::string name, json;
    };
    std::vector<Entry> entries;
    std::map<std::string, size_t> known;
    std::set<std::string> names;
    while (!eat('}')) {
      const size_t key_begin = at_;
      Literal key = value(depth + 1);
      if (!eat(':')) refuse_at(begin, "a set has no JSON");
      if (key.key.empty()) refuse_at(key_begin, "such a key has no JSON");
      std::string item = value(depth + 1).json;
      separator('}');
      const auto [place, fresh] = known.emplace(key.key, entries.size());
      if (!fresh) {  // the first key stays, with the last value
        entries[place->second].json = std::move(item);
        continue;
      }
      if (!names.insert(key.name).second) refuse_at(key_begin, "two keys would be one in JSON");
      entries.push_back({std::move(key.name), std::move(item)});
    }
    std::string out = "{";
    for (const Entry& entry : entries) {
      if (out.size() > 1) out += ',';
      out += entry.name + ":" + entry.json;
    }
    return {out + "}", {}, {}};
  }

  // ---- Numbers

  // The one behind a sign, perhaps in parentheses.
  Literal number(bool negative, int depth) {
    if (depth > kMaxDepth) refuse("the value is nested too deeply");
    if (eat('(')) {
      Literal inside = number(negative, depth + 1);
      expect(')', "')' is missing behind a number");
      return inside;
    }
    peek();
    const size_t begin = at_;
    std::string digits;
    uint32_t base = 10;
    bool is_float = false;
    const char letter = static_cast<char>(ahead(1) | 32);
    if (ahead() == '0' && (letter == 'x' || letter == 'o' || letter == 'b')) {
      base = letter == 'x' ? 16 : letter == 'o' ? 8 : 2;
      at_ += 2;
      if (ahead() == '_') ++at_;
      take_digits(digits, base);
    } else {
      if (is_digit(ahead())) take_digits(digits, 10);
      if (ahead() == '.') {
        is_float = true;
        digits += text_[at_++];
        if (is_digit(ahead())) take_digits(digits, 10);
        else if (digits.size() == 1) refuse("this is not a literal");
      }
      if ((ahead() | 32) == 'e') {
        const size_t sign = ahead(1) == '+' || ahead(1) == '-';
        if (is_digit(ahead(1 + sign))) {
          is_float = true;
          digits += 'e';
          if (ahead(1) == '-') digits += '-';
          at_ += 1 + sign;
          take_digits(digits, 10);
        }
      }
    }
    if (digits.empty()) refuse_at(begin, "this is not a number");
    if (is_letter(ahead()) || is_digit(ahead()) || static_cast<unsigned char>(ahead()) >= 0x80) {
      refuse_at(begin, (ahead() | 32) == 'j' ? "a complex number has no JSON" : "this is not a number");
    }
    return is_float ? float_of(begin, digits, negative) : integer_of(begin, digits, base, negative);
  }

  // Digits with single underscores between them.
  void take_digits(std::string& digits, uint32_t base) {
    const auto valid = [&](char c) { return static_cast<uint32_t>(digit_value(c)) < base; };
    do {
      if (!valid(ahead())) refuse("a digit is missing");
      while (valid(ahead())) digits += text_[at_++];
    } while (ahead() == '_' && (++at_, true));
  }

  Literal integer_of(size_t begin, std::string digits, uint32_t base, bool negative) {
    const size_t significant = std::min(digits.find_first_not_of('0'), digits.size() - 1);
    if (base == 10 && digits.size() > 1 && digits[0] == '0' && digits[significant] != '0')
      refuse_at(begin, "an integer does not begin with zeros");
    digits.erase(0, significant);
    if (digits.size() > kMaxDigits) refuse_at(begin, "the integer is too long");
    if (base != 10) digits = to_decimal(digits, base);
    if (digits.size() > kMaxDigits) refuse_at(begin, "the integer is too long");
    if (negative && digits != "0") digits.insert(0, 1, '-');
    return {digits, "number " + digits, "\"" + digits + "\""};
  }

  Literal float_of(size_t begin, const std::string& digits, bool negative) {
    double value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error == std::errc::result_out_of_range) value = is_below_one(digits) ? 0 : HUGE_VAL;
    else if (error != std::errc() || end != digits.data() + digits.size()) refuse_at(begin, "this is not a number");
    if (std::isinf(value)) refuse_at(begin, "the number is too large");
    if (negative) value = -value;
    const std::string text = jinja::float_repr(value);
    const bool whole = value == std::floor(value);
    return {text, "number " + (whole ? fmt::format("{:.0f}", value == 0 ? 0.0 : value) : text), "\"" + text + "\""};
  }

  // ---- Strings

  // One or several side by side, which are one.
  Literal strings() {
    const size_t begin = at_;
    std::u32string text;
    for (;;) {
      size_t end = at_;
      while (end < text_.size() && is_letter(text_[end])) ++end;
      if (end >= text_.size() || end - at_ > 2 || (text_[end] != '"' && text_[end] != '\'')) break;
      std::string prefix(text_.substr(at_, end - at_));
      for (char& c : prefix) c = static_cast<char>(c | 32);
      if (prefix.find('b') != prefix.npos) refuse("bytes have no JSON");
      if (prefix.find('f') != prefix.npos) refuse("an f-string is not a literal");
      if (prefix != "" && prefix != "r" && prefix != "u") refuse("this is not a literal");
      at_ = end;
      string(text, prefix == "r");
      peek();
    }
    std::string json;
    if (!append_json_string(json, text)) refuse_at(begin, "half a surrogate pair has no JSON");
    // To Python a character is not its two halves, though JSON reads both alike.
    std::string key = "string ";
    key.append(reinterpret_cast<const char*>(text.data()), text.size() * sizeof(char32_t));
    return {json, std::move(key), json};
  }

  void string(std::u32string& out, bool raw) {
    const size_t begin = at_;
    const char quote = ahead();
    const bool triple = ahead(1) == quote && ahead(2) == quote;
    at_ += triple ? 3 : 1;
    for (;;) {
      if (at_ >= text_.size() || (!triple && ahead() == '\n')) refuse_at(begin, "the string has no end");
      if (ahead() == quote && (!triple || (ahead(1) == quote && ahead(2) == quote))) break;
      if (ahead() != '\\') {
        take_character(out);
      } else if (raw) {
        take_character(out);
        if (at_ < text_.size()) take_character(out);
      } else {
        ++at_;
        escape(out);
      }
    }
    at_ += triple ? 3 : 1;
  }

  void take_character(std::u32string& out) {
    const Utf8Char c = utf8_at(text_, at_);
    out += c.code;
    at_ += c.length;
  }

  // What stands behind a backslash.
  void escape(std::u32string& out) {
    const char c = ahead();
    if (c == '\n') {  // the line goes on
      ++at_;
      return;
    }
    constexpr std::string_view kLetters = "\\'\"abfnrtv", kMeanings = "\\'\"\a\b\f\n\r\t\v";
    if (const size_t at = kLetters.find(c); c != kEnd && at != kLetters.npos) {
      out += static_cast<unsigned char>(kMeanings[at]);
      ++at_;
    } else if (c >= '0' && c <= '7') {
      uint32_t code = 0;
      for (int i = 0; i < 3 && ahead() >= '0' && ahead() <= '7'; ++i)
        code = code * 8 + static_cast<uint32_t>(text_[at_++] - '0');
      out += code;
    } else if (c == 'x' || c == 'u' || c == 'U') {
      ++at_;
      uint32_t code = 0;
      for (int i = 0; i < (c == 'x' ? 2 : c == 'u' ? 4 : 8); ++i) {
        if (digit_value(ahead()) >= 16) refuse(fmt::format("\\{} wants more hexadecimal digits", c));
        code = code << 4 | static_cast<uint32_t>(digit_value(text_[at_++]));
      }
      if (code > 0x10FFFF) refuse("there is no such character");
      out += code;
    } else if (c == 'N') {
      refuse("names of characters (\\N) are not known here");
    } else {  // no escape at all: the backslash stays
      out += U'\\';
    }
  }

  std::string source_;
  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

std::vector<ToolCall> parse_python_calls(std::string_view text) { return Reader(text).calls(); }

}  // namespace fieldprint
