#include "grammar/expression.h"

#include <algorithm>
#include <cassert>

#include "base/utf8.h"

namespace fieldprint {
namespace {

constexpr size_t kMaxUnrolled = 48;  // nodes, roughly; larger repetitions become a counted loop over a rule

size_t cost(const Expression& e) {
  size_t sum = 1;
  switch (e.kind) {
    case Expression::Kind::kLiteral:
      return e.text.size() + 1;
    case Expression::Kind::kChars:
      return e.chars.ranges().size() + 1;
    case Expression::Kind::kRepeat: {
      const size_t copies = e.max == kUnbounded ? size_t{e.min} + 1 : e.max;
      return std::min(cost(e.parts[0]), kMaxUnrolled + 1) * std::min(copies, kMaxUnrolled + 1);
    }
    default:
      for (const Expression& part : e.parts) {
        sum += cost(part);
        if (sum > kMaxUnrolled) break;
      }
      return sum;
  }
}

class Appender {
 public:
  Appender(Program& program, Names names, const WriteChars& write) : p_(program), names_(names), write_(write) {}

  NodeId append(NodeId from, const Expression& e) {
    switch (e.kind) {
      case Expression::Kind::kSequence:
        for (const Expression& part : e.parts) from = append(from, part);
        return from;
      case Expression::Kind::kChoice: {
        const NodeId end = p_.node();
        for (const Expression& part : e.parts) {
          const NodeId begin = p_.node();
          p_.empty(from, begin);
          p_.empty(append(begin, part), end);
        }
        return end;
      }
      case Expression::Kind::kLiteral:
        if (!write_) return p_.literal(from, e.text, names_);
        for (size_t at = 0; at < e.text.size();) {
          const Utf8Char c = utf8_at(e.text, at);
          from = write_(p_, from, CharSet{{c.code, c.code}});
          at += c.length;
        }
        return from;
      case Expression::Kind::kChars:
        return write_ ? write_(p_, from, e.chars) : p_.chars(from, e.chars);
      case Expression::Kind::kRule:
        return p_.call(from, e.rule);
      case Expression::Kind::kRepeat:
        return repeat(from, e);
      case Expression::Kind::kTextStart:
      case Expression::Kind::kTextEnd:
        break;
    }
    assert(false);
    return from;
  }

 private:
  NodeId repeat(NodeId from, const Expression& e) {
    const Expression& part = e.parts[0];
    if (e.max == 0) return from;
    const bool unbounded = e.max == kUnbounded;
    const size_t copies = unbounded ? size_t{e.min} + 1 : e.max;
    if (copies <= kMaxUnrolled && copies * cost(part) <= kMaxUnrolled) {
      const NodeId end = p_.node();
      NodeId at = from;
      for (uint32_t i = 0; i < e.min; ++i) at = append(at, part);
      if (unbounded) return star(at, part);
      for (uint32_t i = e.min; i < e.max; ++i) {
        const NodeId begin = p_.node();  // of its own: what is behind may go round
        p_.empty(at, begin);
        p_.empty(begin, end);
        at = append(begin, part);
      }
      p_.empty(at, end);
      return end;
    }
    if (unbounded && e.min <= 1) {
      if (e.min == 0) return star(from, part);
      const NodeId begin = p_.node();
      p_.empty(from, begin);
      const NodeId end = append(begin, part), behind = p_.node();
      p_.empty(end, begin);
      p_.empty(end, behind);
      return behind;
    }
    const RuleId body = p_.rule();
    p_.empty(append(p_.rules[body].start, part), p_.rules[body].end);
    return p_.repeat(from, body, e.min, e.max);
  }

  NodeId star(NodeId from, const Expression& part) {
    const NodeId at = p_.node(), behind = p_.node();
    p_.empty(from, at);
    p_.empty(at, behind);
    const NodeId begin = p_.node();
    p_.empty(at, begin);
    p_.empty(append(begin, part), at);
    return behind;
  }

  Program& p_;
  Names names_;
  const WriteChars& write_;
};

}  // namespace

Expression Expression::repeat(Expression part, uint32_t min, uint32_t max) {
  Expression e{.kind = Kind::kRepeat, .min = min, .max = max};
  e.parts.push_back(std::move(part));
  return e;
}

NodeId append(Program& program, NodeId from, const Expression& e, Names names, const WriteChars& write) {
  return Appender(program, names, write).append(from, e);
}

}  // namespace fieldprint
