#include "grammar/regex.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "base/utf8.h"
#include "fieldprint/error.h"
#include "text/unicode_class.h"

namespace fieldprint {
namespace {

using std::string_view;
using Kind = Expression::Kind;
constexpr int kMaxNested = 200, kMaxRepeated = 10;
constexpr size_t kMaxAnchors = 10;
constexpr uint32_t kMaxCount = 1'000'000'000;

CharSet unicode(std::initializer_list<CharClass> kinds) {
  const CharClass* classes = char_classes();
  CharSet set;
  for (uint32_t c = 0; c <= kLastChar;) {
    uint32_t last = c;
    while (last < kLastChar && classes[last + 1] == classes[c]) ++last;
    if (std::find(kinds.begin(), kinds.end(), classes[c]) != kinds.end()) set.add(c, last);
    c = last + 1;
  }
  return set;
}

// A class by its letter: the narrow reading (ASCII) and the wide one (Unicode).
struct Named {
  CharSet narrow, wide;
};
const Named& named_class(char letter) {
  static const std::map<char, Named> all = [] {
    std::map<char, Named> m;
    m['d'] = {{{'0', '9'}}, unicode({kNumber})};
    m['w'] = {{{'0', '9'}, {'A', 'Z'}, {'a', 'z'}, {'_', '_'}}, unicode({kLetter, kNumber, kMark})};
    m['w'].wide.add('_');
    m['s'] = {{{'\t', '\r'}, {' ', ' '}}, unicode({kSpace})};
    m['s'].wide.add(0x1C, 0x1F);  // Python's
    m['s'].wide.add(0xFEFF);      // ECMAScript's
    m['s'].wide.add(m['s'].narrow);
    for (const char c : {'d', 'w', 's'}) m[static_cast<char>(c - 32)] = {m[c].wide.negated(), m[c].narrow.negated()};
    return m;
  }();
  return all.at(letter);
}

const CharSet& dot() {
  static const CharSet set = CharSet{{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}}.negated();
  return set;
}

class Parser {
 public:
  Parser(string_view text, const std::string& where) : text_(text), where_(where) {}

  Expression parse() {
    Expression e = choice();
    if (at_ < text_.size()) fail("this ')' closes nothing");
    return e;
  }

 private:
  [[noreturn]] void fail(const std::string& what, size_t at) const {
    throw Error(ErrorKind::kBadInput, what, fmt::format("{}, column {}", where_, at + 1));
  }
  [[noreturn]] void fail(const std::string& what) const { fail(what, at_); }
  [[noreturn]] void refuse(const std::string& what, size_t at) const {
    throw Error(ErrorKind::kUnsupported, what + " not supported", fmt::format("{}, column {}", where_, at + 1));
  }

  char peek(size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }
  bool take(char c) {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  bool take(string_view s) {
    if (!text_.substr(at_).starts_with(s)) return false;
    at_ += s.size();
    return true;
  }

  Expression choice() {
    if (++nested_ > kMaxNested) throw Error(ErrorKind::kLimit, "the expression is nested too deeply", where_);
    std::vector<Expression> choices;
    do choices.push_back(sequence());
    while (take('|'));
    --nested_;
    return choices.size() == 1 ? std::move(choices[0]) : Expression::choice(std::move(choices));
  }

  Expression sequence() {
    std::vector<Expression> parts;
    while (at_ < text_.size() && peek() != '|' && peek() != ')') {
      const size_t begin = at_;
      Expression part = one();
      for (int times = 0;; ++times) {
        const size_t sign = at_;
        uint32_t min = 0, max = kUnbounded;
        if (!repeated(min, max)) break;
        if (part.kind == Kind::kTextStart || part.kind == Kind::kTextEnd) fail("an anchor cannot be repeated", begin);
        if (times >= kMaxRepeated) throw Error(ErrorKind::kLimit, "one part has too many repetitions", where_);
        if (times > 0) fail("nothing to repeat", sign);
        part = Expression::repeat(std::move(part), min, max);
      }
      parts.push_back(std::move(part));
    }
    return parts.size() == 1 ? std::move(parts[0]) : Expression::sequence(std::move(parts));
  }

  Expression one() {
    const size_t begin = at_;
    if (take('^')) return {.kind = Kind::kTextStart};
    if (take('$')) return {.kind = Kind::kTextEnd};
    if (take('.')) return Expression::one_of(dot());
    if (take('[')) return Expression::one_of(char_class());
    if (take('(')) {
      if (take('?')) group_kind(begin);
      Expression group = choice();
      if (!take(')')) fail("the group has no ')'", begin);
      // A sequence of its own, so that what is repeated is the whole group.
      return group;
    }
    if (peek() == '*' || peek() == '+' || peek() == '?') fail("nothing to repeat");
    if (take('\\')) return escaped(begin);
    const Utf8Char c = utf8_at(text_, at_);
    if (c.broken()) fail("this is no UTF-8");
    at_ += c.length;
    return Expression::one_of({{c.code, c.code}});
  }

  void group_kind(size_t begin) {
    if (take(':')) return;
    if (peek() == '=' || peek() == '!') refuse("look-ahead ('(?=', '(?!') is", begin);
    if (peek() == '<' && (peek(1) == '=' || peek(1) == '!')) refuse("look-behind ('(?<=', '(?<!') is", begin);
    if (peek() == '<' || (peek() == 'P' && peek(1) == '<')) {
      const size_t end = text_.find('>', at_);
      if (end == text_.npos) fail("the group's name has no '>'", begin);
      at_ = end + 1;
      return;
    }
    refuse(fmt::format("the group '(?{}' is", peek()), begin);
  }

  bool repeated(uint32_t& min, uint32_t& max) {
    if (take('*')) {
    } else if (take('+')) {
      min = 1;
    } else if (take('?')) {
      max = 1;
    } else if (peek() != '{' || !counted(min, max)) {
      return false;
    }
    if (peek() == '+') refuse("possessive repetition ('*+') is", at_);
    take('?');  // lazy
    return true;
  }

  // {m}, {m,} or {m,n}; anything else after a brace is text, as in ECMAScript's annex B.
  bool counted(uint32_t& min, uint32_t& max) {
    const size_t begin = at_++;
    const auto number = [&]() -> std::optional<uint32_t> {
      const size_t first = at_;
      uint64_t value = 0;
      while (peek() >= '0' && peek() <= '9') {
        value = value * 10 + static_cast<uint64_t>(text_[at_++] - '0');
        if (value > kMaxCount)
          throw Error(ErrorKind::kLimit, fmt::format("a repetition of more than {} times", kMaxCount), where_);
      }
      if (first == at_) return std::nullopt;
      return static_cast<uint32_t>(value);
    };
    const auto low = number();
    if (!low && peek() == ',' && peek(1) >= '0' && peek(1) <= '9')
      refuse("a repetition without its least count is", begin);
    if (low) {
      min = max = *low;
      if (take(',')) max = number().value_or(kUnbounded);
      if (take('}')) {
        if (min > max) fail("the repetition's bounds are the wrong way round", begin);
        return true;
      }
    }
    at_ = begin;
    return false;
  }

  Expression escaped(size_t begin) {
    const char c = peek();
    if (c == 'b' || c == 'B') refuse(fmt::format("a word border ('\\{}') is", c), begin);
    if ((c >= '1' && c <= '9') || c == 'k') refuse("a back-reference is", begin);
    if (c == 'A' || c == 'z' || c == 'Z' || c == 'G') refuse(fmt::format("the anchor '\\{}' is", c), begin);
    return Expression::one_of(escape(false));
  }

  // Behind the backslash. `wide`: the class that it stands in is negated.
  CharSet escape(bool wide) {
    const size_t begin = at_ - 1;
    const char c = peek();
    if (at_ >= text_.size()) fail("the expression ends in a backslash", begin);
    ++at_;
    switch (c) {
      case 'd':
      case 'D':
      case 'w':
      case 'W':
      case 's':
      case 'S':
        return wide ? named_class(c).wide : named_class(c).narrow;
      case 'n':
        return {{'\n', '\n'}};
      case 'r':
        return {{'\r', '\r'}};
      case 't':
        return {{'\t', '\t'}};
      case 'f':
        return {{'\f', '\f'}};
      case 'v':
        return {{'\v', '\v'}};
      case 'a':
        return {{'\a', '\a'}};
      case 'e':
        return {{0x1B, 0x1B}};
      case '0':
        if (peek() >= '0' && peek() <= '9') refuse("an octal escape is", begin);
        return {{0, 0}};
      case 'c': {
        const char letter = static_cast<char>(peek() | 32);
        if (letter < 'a' || letter > 'z') fail("'\\c' needs a letter", begin);
        ++at_;
        const auto code = static_cast<uint32_t>(letter - 'a' + 1);
        return {{code, code}};
      }
      case 'x':
        return single(hex(2, begin), begin);
      case 'u': {
        if (take('{')) {
          const uint32_t code = hex(-1, begin);
          if (!take('}')) fail("'\\u{' has no '}'", begin);
          return single(code, begin);
        }
        uint32_t code = hex(4, begin);
        if (code >= 0xD800 && code <= 0xDBFF && take("\\u")) {
          const uint32_t low = hex(4, begin);
          if (low < 0xDC00 || low > 0xDFFF) fail("there is no such character", begin);
          code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        }
        return single(code, begin);
      }
      case 'p':
      case 'P':
        return property(c == 'P', begin);
      default:
        break;
    }
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
      refuse(fmt::format("the escape '\\{}' is", c), begin);
    --at_;
    const Utf8Char literal = utf8_at(text_, at_);
    if (literal.broken()) fail("this is no UTF-8");
    at_ += literal.length;
    return {{literal.code, literal.code}};
  }

  CharSet single(uint32_t code, size_t begin) const {
    if (code > kLastChar || (code >= 0xD800 && code <= 0xDFFF)) fail("there is no such character", begin);
    return {{code, code}};
  }

  uint32_t hex(int digits, size_t begin) {
    uint32_t code = 0;
    int read = 0;
    for (; read != digits; ++read) {
      const char c = peek();
      const int value = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
      if (value < 0) break;
      code = std::min(code * 16 + static_cast<uint32_t>(value), 0x1000000u);
      ++at_;
    }
    if (read == 0 || (digits > 0 && read < digits)) fail("the escape lacks hexadecimal digits", begin);
    return code;
  }

  CharSet property(bool negated, size_t begin) {
    std::string name(1, peek());
    if (take('{')) {
      const size_t end = text_.find('}', at_);
      if (end == text_.npos) fail("the property has no '}'", begin);
      name = text_.substr(at_, end - at_);
      at_ = end + 1;
    } else {
      ++at_;
    }
    CharSet set;
    if (name == "L" || name == "Letter") set = unicode({kLetter});
    else if (name == "N" || name == "Number") set = unicode({kNumber});
    else if (name == "M" || name == "Mark") set = unicode({kMark});
    else if (name == "White_Space" || name == "space") set = unicode({kSpace});
    else refuse(fmt::format("the property '{}' is", name.substr(0, 40)), begin);
    return negated ? set.negated() : set;
  }

  CharSet char_class() {
    const size_t begin = at_ - 1;
    const bool negated = take('^');
    CharSet set;
    while (!take(']')) {
      if (at_ >= text_.size()) fail("the class has no ']'", begin);
      const size_t first_at = at_;
      const CharSet first = class_part(negated);
      if (peek() == '-' && peek(1) != ']' && at_ + 1 < text_.size() && is_single(first)) {
        ++at_;
        const CharSet last = class_part(negated);
        if (is_single(last)) {
          const uint32_t low = first.ranges()[0].first, high = last.ranges()[0].first;
          if (low > high) fail("the range is the wrong way round", first_at);
          set.add(low, high);
          continue;
        }
        set.add('-');
        set.add(last);
      }
      set.add(first);
    }
    return negated ? set.negated() : set;
  }

  static bool is_single(const CharSet& set) {
    return set.ranges().size() == 1 && set.ranges()[0].first == set.ranges()[0].second;
  }

  CharSet class_part(bool negated) {
    const size_t begin = at_;
    if (peek() == '[' && (peek(1) == ':' || peek(1) == '.' || peek(1) == '='))
      refuse("a class by name ('[:alpha:]') is", begin);
    if (take('\\')) {
      if (peek() == 'b') {
        ++at_;
        return {{'\b', '\b'}};
      }
      if (peek() >= '1' && peek() <= '9') refuse("an octal escape is", begin);
      return escape(negated);
    }
    const Utf8Char c = utf8_at(text_, at_);
    if (c.broken()) fail("this is no UTF-8");
    at_ += c.length;
    return {{c.code, c.code}};
  }

  string_view text_;
  const std::string& where_;
  size_t at_ = 0;
  int nested_ = 0;
};

bool has_anchors(const Expression& e) {
  if (e.kind == Kind::kTextStart || e.kind == Kind::kTextEnd) return true;
  return std::any_of(e.parts.begin(), e.parts.end(), has_anchors);
}

size_t anchors(const Expression& e) {
  size_t count = e.kind == Kind::kTextStart || e.kind == Kind::kTextEnd;
  for (const Expression& part : e.parts) count += anchors(part);
  return count;
}

bool nullable(const Expression& e) { return lengths(e).min == 0; }

// An expression without its anchors, by what these ask for: variants[1] holds what must begin the text, [2] what must
// end it, [3] both.
struct Variants {
  std::optional<Expression> of[4];

  void add(unsigned key, Expression e) {
    if (!of[key]) {
      of[key] = std::move(e);
      return;
    }
    std::vector<Expression> both;
    both.push_back(std::move(*of[key]));
    both.push_back(std::move(e));
    of[key] = Expression::choice(std::move(both));
  }
};

Variants without_anchors(const Expression& e, const std::string& where) {
  Variants result;
  if (e.kind == Kind::kTextStart) {
    result.add(1, {});
  } else if (e.kind == Kind::kTextEnd) {
    result.add(2, {});
  } else if (!has_anchors(e)) {
    result.add(0, e);
  } else if (e.kind == Kind::kChoice) {
    for (const Expression& part : e.parts) {
      Variants own = without_anchors(part, where);
      for (unsigned key = 0; key < 4; ++key)
        if (own.of[key]) result.add(key, std::move(*own.of[key]));
    }
  } else if (e.kind == Kind::kSequence) {
    result.add(0, {});
    for (const Expression& part : e.parts) {
      const Variants right = without_anchors(part, where);
      Variants joined;
      for (unsigned l = 0; l < 4; ++l) {
        for (unsigned r = 0; r < 4; ++r) {
          if (!result.of[l] || !right.of[r]) continue;
          // What stands before a ^ or behind a $ can only be empty.
          std::vector<Expression> parts{*result.of[l], *right.of[r]};
          bool possible = true;
          if ((r & 1) != 0) possible &= nullable(parts[0]), parts[0] = {};
          if ((l & 2) != 0) possible &= nullable(parts[1]), parts[1] = {};
          if (possible) joined.add(l | r, Expression::sequence(std::move(parts)));
        }
      }
      result = std::move(joined);
    }
  } else if (e.kind == Kind::kRepeat && e.max == 1) {
    result = without_anchors(e.parts[0], where);
    if (e.min == 0) result.add(0, {});
  } else {
    throw Error(ErrorKind::kUnsupported, "an anchor inside a repetition is not supported", where);
  }
  return result;
}

}  // namespace

Expression parse_regex(string_view text, bool anywhere, const std::string& where) {
  const Expression parsed = Parser(text, where).parse();
  // Each may double the expression.
  if (anchors(parsed) > kMaxAnchors) throw Error(ErrorKind::kLimit, "the expression has too many anchors", where);
  Variants variants = without_anchors(parsed, where);
  const auto anything = [] { return Expression::repeat(Expression::one_of(CharSet::any()), 0, kUnbounded); };
  std::vector<Expression> choices;
  for (unsigned key = 0; key < 4; ++key) {
    if (!variants.of[key]) continue;
    std::vector<Expression> parts;
    if (anywhere && (key & 1) == 0) parts.push_back(anything());
    parts.push_back(std::move(*variants.of[key]));
    if (anywhere && (key & 2) == 0) parts.push_back(anything());
    choices.push_back(Expression::sequence(std::move(parts)));
  }
  return Expression::choice(std::move(choices));
}

Lengths lengths(const Expression& e) {
  const auto plus = [](uint32_t a, uint32_t b) { return a >= kUnbounded - b ? kUnbounded : a + b; };
  const auto times = [](uint32_t a, uint32_t b) {
    if (a == 0 || b == 0) return 0u;
    const uint64_t product = uint64_t{a} * b;
    return a == kUnbounded || b == kUnbounded || product >= kUnbounded ? kUnbounded : static_cast<uint32_t>(product);
  };
  switch (e.kind) {
    case Kind::kLiteral: {
      uint32_t count = 0;
      for (const char c : e.text) count += (static_cast<uint8_t>(c) & 0xC0) != 0x80;
      return {count, count};
    }
    case Kind::kChars:
      return {1, 1};
    case Kind::kSequence: {
      Lengths sum{0, 0};
      for (const Expression& part : e.parts) {
        const Lengths l = lengths(part);
        sum = {plus(sum.min, l.min), plus(sum.max, l.max)};
      }
      return sum;
    }
    case Kind::kChoice: {
      Lengths all{kUnbounded, 0};
      for (const Expression& part : e.parts) {
        const Lengths l = lengths(part);
        all = {std::min(all.min, l.min), std::max(all.max, l.max)};
      }
      return all;
    }
    case Kind::kRepeat: {
      const Lengths l = lengths(e.parts[0]);
      return {times(l.min, e.min), times(l.max, e.max)};
    }
    default:
      return {0, 0};
  }
}

}  // namespace fieldprint
