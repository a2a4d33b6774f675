#include "grammar/json_text.h"

#include "fieldprint/json.h"

namespace fieldprint {
namespace {

constexpr uint32_t kMaxIndent = 24;

const CharSet& unescaped() {  // what may stand in a string as it is
  static const CharSet set = CharSet{{0, 0x1F}, {'"', '"'}, {'\\', '\\'}}.negated();
  return set;
}

struct ShortEscape {
  uint32_t code;
  char letter;
};
constexpr ShortEscape kShort[] = {{'"', '"'},  {'\\', '\\'}, {'\b', 'b'}, {'\f', 'f'},
                                  {'\n', 'n'}, {'\r', 'r'},  {'\t', 't'}};

}  // namespace

RuleId JsonText::rule(RuleId& known, NodeId (JsonText::*fill)(NodeId)) {
  if (known == kAbsent) {
    known = p_.rule();
    const RuleId made = known;
    const NodeId last = (this->*fill)(p_.rules[made].start);
    p_.empty(last, p_.rules[made].end);
  }
  return known;
}

NodeId JsonText::gap(NodeId from) { return compact_ ? from : p_.call(from, rule(gap_, &JsonText::gap_body)); }

NodeId JsonText::gap_body(NodeId from) {
  const NodeId end = p_.node(), line = p_.node();
  p_.empty(from, end);
  p_.bytes(from, ' ', ' ', end);
  p_.bytes(from, '\n', '\n', line);
  NodeId at = line;
  for (uint32_t i = 0; i < kMaxIndent; ++i) {
    const NodeId next = p_.node();
    p_.empty(at, end);
    p_.bytes(at, ' ', ' ', next);
    at = next;
  }
  p_.empty(at, end);
  for (uint32_t i = 0; i < kMaxIndent / 4; ++i) {
    const NodeId next = p_.node();
    p_.bytes(i == 0 ? line : at, '\t', '\t', next);
    p_.empty(next, end);
    at = next;
  }
  return end;
}

NodeId JsonText::colon(NodeId from) {
  const NodeId behind = p_.literal(from, ":");
  if (compact_) return behind;
  const NodeId end = p_.node();
  p_.empty(behind, end);
  p_.bytes(behind, ' ', ' ', end);
  return end;
}

NodeId JsonText::name(NodeId from, std::string_view name) { return colon(p_.literal(from, json_string(name))); }

NodeId JsonText::constant(NodeId from, const nlohmann::ordered_json& value) {
  if (value.is_array() || value.is_object()) {
    const bool object = value.is_object();
    from = p_.literal(from, object ? "{" : "[");
    bool first = true;
    for (const auto& item : value.items()) {
      if (!first) from = p_.literal(from, ",");
      first = false;
      from = gap(from);
      if (object) from = name(from, item.key());
      from = constant(from, item.value());
    }
    return p_.literal(gap(from), object ? "}" : "]");
  }
  if (value.is_string()) return p_.literal(from, json_string(value.get_ref<const std::string&>()));
  return p_.literal(from, value.dump());
}

NodeId JsonText::write(Program& p, NodeId from, const CharSet& set) {
  const NodeId end = p.node();
  const CharSet plain = set.both(unescaped());
  if (!plain.empty()) p.empty(p.chars(from, plain), end);
  NodeId backslash = kAbsent, hex[2] = {kAbsent, kAbsent};
  const CharSet escaped = set.minus(unescaped());
  for (const auto& [first, last] : escaped.ranges()) {
    for (uint32_t code = first; code <= last; ++code) {
      if (backslash == kAbsent) backslash = p.literal(from, "\\");
      char letter = 0;
      for (const ShortEscape& e : kShort)
        if (e.code == code) letter = e.letter;
      if (letter != 0) {
        p.bytes(backslash, static_cast<uint8_t>(letter), static_cast<uint8_t>(letter), end);
        continue;
      }
      NodeId& tens = hex[code >> 4];
      if (tens == kAbsent) tens = p.literal(backslash, code < 16 ? "u000" : "u001");
      const auto digit = static_cast<uint8_t>("0123456789abcdef"[code & 15]);
      p.bytes(tens, digit, digit, end);
    }
  }
  return end;
}

// Any character of a string, also as \u00e9 or as a pair of surrogates.
NodeId JsonText::character(NodeId from) {
  const NodeId end = p_.node();
  p_.empty(p_.chars(from, unescaped()), end);
  const NodeId backslash = p_.literal(from, "\\");
  for (const char c : std::string_view("\"\\/bfnrt"))
    p_.bytes(backslash, static_cast<uint8_t>(c), static_cast<uint8_t>(c), end);
  const CharSet digit{{'0', '9'}, {'a', 'f'}, {'A', 'F'}};
  const auto hex = [&](NodeId at, const CharSet& set, NodeId to) {
    for (const auto& [first, last] : set.ranges())
      p_.bytes(at, static_cast<uint8_t>(first), static_cast<uint8_t>(last), to);
  };
  const auto next = [&](NodeId at, const CharSet& set) {
    const NodeId to = p_.node();
    hex(at, set, to);
    return to;
  };
  const NodeId u = p_.literal(backslash, "u");
  const NodeId last = p_.node(), third = p_.node();
  hex(last, digit, end);
  hex(third, digit, last);
  hex(next(u, {{'0', '9'}, {'a', 'c'}, {'A', 'C'}, {'e', 'f'}, {'E', 'F'}}), digit, third);
  const NodeId d = next(u, {{'d', 'd'}, {'D', 'D'}});
  hex(d, {{'0', '7'}}, third);
  const NodeId high = next(next(next(d, {{'8', '9'}, {'a', 'b'}, {'A', 'B'}}), digit), digit);
  hex(next(p_.literal(high, "\\u"), {{'d', 'd'}, {'D', 'D'}}), {{'c', 'f'}, {'C', 'F'}}, third);
  return end;
}

NodeId JsonText::string(NodeId from, uint32_t min, uint32_t max) {
  NodeId at = p_.literal(from, "\"");
  if (min == 0 && max == kUnbounded) {
    const NodeId inside = p_.node();
    p_.empty(at, inside);
    p_.empty(character(inside), inside);
    at = inside;
  } else {
    at = p_.repeat(at, rule(character_, &JsonText::character), min, max);
  }
  const NodeId end = p_.node();
  p_.bytes(at, '"', '"', end);
  return end;
}

NodeId JsonText::list(NodeId from, RuleId item) {
  const NodeId open = gap(p_.literal(from, "["));
  const NodeId close = p_.node(), end = p_.node();
  p_.bytes(close, ']', ']', end);
  p_.empty(open, close);
  const NodeId behind = p_.call(open, item);
  p_.call(gap(p_.literal(behind, ",")), item, behind);
  p_.empty(gap(behind), close);
  return end;
}

RuleId JsonText::any_value() { return rule(value_, &JsonText::value_body); }

NodeId JsonText::member(NodeId from) {
  return p_.call(colon(p_.call(from, rule(string_, &JsonText::string_body))), any_value());
}

NodeId JsonText::any_object(NodeId from) {
  const NodeId open = gap(p_.literal(from, "{"));
  const NodeId close = p_.node(), end = p_.node();
  p_.bytes(close, '}', '}', end);
  p_.empty(open, close);
  const RuleId item = rule(member_, &JsonText::member);
  const NodeId behind = p_.call(open, item);
  p_.call(gap(p_.literal(behind, ",")), item, behind);
  p_.empty(gap(behind), close);
  return end;
}

NodeId JsonText::value_body(NodeId from) {
  const NodeId end = p_.node();
  for (const char* word : {"null", "true", "false"}) p_.empty(p_.literal(from, word), end);
  p_.call(from, rule(string_, &JsonText::string_body), end);
  p_.empty(append(p_, from, any_number()), end);
  p_.empty(list(from, any_value()), end);
  p_.empty(any_object(from), end);
  return end;
}

Expression any_number() {
  using E = Expression;
  const auto digits = [](uint32_t min, uint32_t max) { return E::repeat(E::one_of({{'0', '9'}}), min, max); };
  const auto maybe = [](E e) { return E::repeat(std::move(e), 0, 1); };
  const E whole = E::choice({E::literal("0"), E::sequence({E::one_of({{'1', '9'}}), digits(0, 15)})});
  return E::sequence({maybe(E::literal("-")), whole, maybe(E::sequence({E::literal("."), digits(1, 16)})),
                      maybe(E::sequence({E::one_of({{'e', 'e'}, {'E', 'E'}}),
                                         maybe(E::one_of({{'+', '+'}, {'-', '-'}})), digits(1, 2)}))});
}

}  // namespace fieldprint
