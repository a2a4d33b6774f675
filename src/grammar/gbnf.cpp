#include "grammar/gbnf.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "base/utf8.h"
#include "fieldprint/error.h"
#include "grammar/expression.h"

namespace fieldprint {
namespace {

using std::string_view;
constexpr int kMaxNested = 200, kMaxRepeated = 10;
constexpr uint32_t kMaxCount = 1'000'000'000;

bool name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

class Parser {
 public:
  explicit Parser(string_view text) : text_(text) {
    // A byte order mark is what some editors begin a file with.
    if (text_.starts_with("\xEF\xBB\xBF")) text_.remove_prefix(3);
  }

  Program parse(string_view root) {
    space(true);
    while (at_ < text_.size()) definition();
    for (const auto& [name, rule] : rules_)
      if (!rule.defined) fail(fmt::format("the rule '{}' is used and nowhere defined", name), rule.first_use);
    const auto found = rules_.find(root);
    if (found == rules_.end()) fail(fmt::format("there is no rule '{}' to begin with", root), text_.size());
    program_.root = found->second.id;
    return std::move(program_);
  }

 private:
  struct Rule {
    RuleId id;
    size_t first_use;
    bool defined;
  };

  [[noreturn]] void fail(const std::string& what, size_t at) const {
    const string_view before = text_.substr(0, at);
    const size_t line = before.rfind('\n');
    throw Error(ErrorKind::kBadInput, what,
                fmt::format("grammar, line {}, column {}", std::count(before.begin(), before.end(), '\n') + 1,
                            before.size() - (line == before.npos ? 0 : line + 1) + 1));
  }
  [[noreturn]] void fail(const std::string& what) const { fail(what, at_); }

  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool take(char c) {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  void space(bool lines) {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '#') at_ = std::min(text_.find('\n', at_), text_.size());
      else if (c == ' ' || c == '\t' || (lines && (c == '\n' || c == '\r'))) ++at_;
      else break;
    }
  }

  string_view name() {
    const size_t begin = at_;
    while (at_ < text_.size() && name_char(text_[at_])) ++at_;
    if (begin == at_) fail("the name of a rule is expected");
    return text_.substr(begin, at_ - begin);
  }

  Rule& rule(string_view name, size_t where) {
    auto found = rules_.find(name);
    if (found == rules_.end())
      found = rules_.emplace(std::string(name), Rule{program_.rule(std::string(name)), where, false}).first;
    return found->second;
  }

  void definition() {
    const size_t begin = at_;
    Rule& defined = rule(name(), begin);
    if (defined.defined) fail("the rule is defined a second time", begin);
    defined.defined = true;
    space(false);
    if (!text_.substr(at_).starts_with("::=")) fail("'::=' is expected");
    at_ += 3;
    space(true);
    const Expression body = without_left_recursion(choice(false), defined.id);
    const auto [start, end] = std::pair(program_.rules[defined.id].start, program_.rules[defined.id].end);
    program_.empty(append(program_, start, body, Names::kLiteral), end);
    if (at_ < text_.size() && peek() != '\n' && peek() != '\r') fail("the end of the rule is expected");
    space(true);
  }

  Expression choice(bool nested) {
    if (++nested_ > kMaxNested) throw Error(ErrorKind::kLimit, "the grammar is nested too deeply");
    std::vector<Expression> choices;
    do {
      space(true);
      choices.push_back(sequence(nested));
      // A choice may go on in the next line.
      const size_t behind = at_;
      space(true);
      if (peek() != '|') at_ = behind;
    } while (take('|'));
    --nested_;
    return choices.size() == 1 ? std::move(choices[0]) : Expression::choice(std::move(choices));
  }

  Expression sequence(bool nested) {
    std::vector<Expression> parts;
    for (;;) {
      std::optional<Expression> part = one(nested);
      if (!part) break;
      space(nested);
      for (int times = 0; repeated(*part); space(nested))
        if (++times > kMaxRepeated) throw Error(ErrorKind::kLimit, "one part has too many repetitions", "grammar");
      parts.push_back(std::move(*part));
    }
    return Expression::sequence(std::move(parts));
  }

  std::optional<Expression> one(bool nested) {
    const size_t begin = at_;
    if (take('"')) {
      std::string literal;
      while (!take('"')) append_utf8(literal, character("the text"));
      return Expression::literal(std::move(literal));
    }
    if (take('[')) return Expression::one_of(char_class());
    if (take('.')) return Expression::one_of(CharSet::any());
    if (take('(')) {
      Expression group = choice(true);
      space(true);
      if (!take(')')) fail("the group has no ')'");
      return group;
    }
    if (peek() == '<') return token();
    if (peek() == '!')
      throw Error(ErrorKind::kUnsupported, "tokens that must not come ('!<...>') are not supported", "grammar");
    if (name_char(peek())) {
      const string_view called = name();
      // On the line behind a rule's end the next rule may begin.
      if (nested) {
        const size_t behind = at_;
        space(false);
        if (text_.substr(at_).starts_with("::=")) fail("the group has no ')'", begin);
        at_ = behind;
      }
      return Expression::call(rule(called, begin).id);
    }
    return std::nullopt;
  }

  // <think>: the token of this name. Its id cannot be known here.
  Expression token() {
    const size_t begin = at_;
    const size_t end = text_.find('>', at_);
    if (end == text_.npos || text_.substr(at_, end - at_).find('\n') != string_view::npos) fail("the token has no '>'");
    at_ = end + 1;
    const string_view written = text_.substr(begin, at_ - begin);
    if (written.starts_with("<[")) {
      throw Error(ErrorKind::kUnsupported, fmt::format("tokens by number ({}) are not supported", written), "grammar",
                  "name it as a text: \"<think>\"");
    }
    return Expression::literal(std::string(written));
  }

  bool repeated(Expression& part) {
    uint32_t min = 0, max = kUnbounded;
    if (take('*')) {
    } else if (take('+')) {
      min = 1;
    } else if (take('?')) {
      max = 1;
    } else if (take('{')) {
      space(false);
      min = max = number();
      space(false);
      if (take(',')) {
        space(false);
        max = peek() == '}' ? kUnbounded : number();
        space(false);
      }
      if (!take('}')) fail("the repetition has no '}'");
      if (min > max) fail("the repetition's bounds are the wrong way round");
    } else {
      return false;
    }
    part = Expression::repeat(std::move(part), min, max);
    return true;
  }

  uint32_t number() {
    const size_t begin = at_;
    uint64_t value = 0;
    while (peek() >= '0' && peek() <= '9') {
      value = value * 10 + static_cast<uint64_t>(text_[at_++] - '0');
      if (value > kMaxCount)
        throw Error(ErrorKind::kLimit, fmt::format("a repetition of more than {} times", kMaxCount), "grammar");
    }
    if (begin == at_) fail("a number is expected");
    return static_cast<uint32_t>(value);
  }

  CharSet char_class() {
    const bool negated = take('^');
    CharSet set;
    while (!take(']')) {
      const size_t begin = at_;
      const uint32_t first = character("the class");
      uint32_t last = first;
      if (peek() == '-' && at_ + 1 < text_.size() && text_[at_ + 1] != ']') {
        ++at_;
        last = character("the class");
      }
      if (last < first) fail("the range is the wrong way round", begin);
      set.add(first, last);
    }
    return negated ? set.negated() : set;
  }

  // One character of a text or a class, escapes among them.
  uint32_t character(const char* of) {
    if (at_ >= text_.size()) fail(fmt::format("{} has no end", of));
    const size_t begin = at_;
    if (!take('\\')) {
      const Utf8Char c = utf8_at(text_, at_);
      if (c.broken()) fail("this is no UTF-8");
      at_ += c.length;
      return c.code;
    }
    const char escape = peek();
    ++at_;
    switch (escape) {
      case 'x':
        return hex(2);
      case 'u':
        return hex(4);
      case 'U':
        return hex(8);
      case 't':
        return '\t';
      case 'r':
        return '\r';
      case 'n':
        return '\n';
      case '\\':
      case '"':
      case '\'':
      case '/':
      case '[':
      case ']':
      case '^':
      case '-':
        return static_cast<uint32_t>(escape);
      default:
        fail("this escape is not known", begin);
    }
  }

  uint32_t hex(int digits) {
    const size_t begin = at_ - 2;
    uint64_t code = 0;
    for (int i = 0; i < digits; ++i) {
      const char c = peek();
      const int value = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
      if (value < 0) fail(fmt::format("the escape needs {} hexadecimal digits", digits), begin);
      code = code * 16 + static_cast<uint64_t>(value);
      ++at_;
    }
    if (code > kLastChar || (code >= 0xD800 && code <= 0xDFFF)) fail("there is no such character", begin);
    return static_cast<uint32_t>(code);
  }

  // list ::= list "," item | item is item ("," item)*.
  static Expression without_left_recursion(Expression body, RuleId self) {
    using Kind = Expression::Kind;
    std::vector<Expression> choices;
    if (body.kind == Kind::kChoice) choices = std::move(body.parts);
    else choices.push_back(std::move(body));
    std::vector<Expression> first, more;
    for (Expression& choice : choices) {
      const bool recursive = choice.kind == Kind::kSequence && !choice.parts.empty() &&
                             choice.parts[0].kind == Kind::kRule && choice.parts[0].rule == self;
      if (!recursive) {
        first.push_back(std::move(choice));
      } else if (choice.parts.size() > 1) {
        choice.parts.erase(choice.parts.begin());
        more.push_back(std::move(choice));
      }
    }
    Expression begin = Expression::choice(std::move(first));
    if (more.empty()) return begin;
    std::vector<Expression> parts;
    parts.push_back(std::move(begin));
    parts.push_back(Expression::repeat(Expression::choice(std::move(more)), 0, kUnbounded));
    return Expression::sequence(std::move(parts));
  }

  string_view text_;
  size_t at_ = 0;
  int nested_ = 0;
  Program program_;
  std::map<std::string, Rule, std::less<>> rules_;
};

}  // namespace

Program parse_gbnf(string_view text, string_view root) { return Parser(text).parse(root); }

}  // namespace fieldprint
