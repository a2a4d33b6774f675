#include "server/constraint.h"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace fieldprint::server {
namespace {

template <class Value, size_t N>
std::string_view name_of(const std::array<std::pair<Value, std::string_view>, N>& names, Value value) {
  for (const auto& [each, name] : names)
    if (each == value) return name;
  return {};
}

template <class Value, size_t N>
Value named(const std::array<std::pair<Value, std::string_view>, N>& names, const Fields& fields,
            std::string_view field) {
  const std::string name = fields.string(field).value_or(std::string(names[0].second));
  for (const auto& [value, each] : names)
    if (each == name) return value;
  fields.refuse(field, fmt::format("is '{}', which is not known", name));
}

using Kind = Constraint::Kind;
using Calls = Constraint::Calls;
using Thought = Constraint::Thought;
constexpr std::array<std::pair<Kind, std::string_view>, 5> kKinds = {{{Kind::kNone, "none"},
                                                                      {Kind::kJsonObject, "json_object"},
                                                                      {Kind::kJsonSchema, "json_schema"},
                                                                      {Kind::kGbnf, "grammar"},
                                                                      {Kind::kRegex, "regex"}}};
constexpr std::array<std::pair<Calls, std::string_view>, 2> kCalls = {
    {{Calls::kAuto, "auto"}, {Calls::kRequired, "required"}}};
constexpr std::array<std::pair<Thought, std::string_view>, 3> kThoughts = {
    {{Thought::kNone, "none"}, {Thought::kMay, "may"}, {Thought::kOpen, "open"}}};

}  // namespace

static GrammarPtr format_grammar(const Constraint& c) {
  switch (c.kind) {
    case Kind::kJsonObject:
      return Grammar::json_object();
    case Kind::kJsonSchema:
      return Grammar::from_json_schema(c.text);
    case Kind::kGbnf:
      return Grammar::from_gbnf(c.text);
    case Kind::kRegex:
      return Grammar::from_regex(c.text);
    case Kind::kNone:
      break;
  }
  return nullptr;
}

GrammarPtr constraint_grammar(const Constraint& c) {
  GrammarPtr answer = format_grammar(c);
  if (!c.tools.empty()) {
    // Beside a format of the answer calls cannot stand inside of it: it is one or the other.
    const bool or_answer = answer != nullptr && c.calls == Calls::kAuto;
    const GrammarPtr calls = call_grammar(
        c.tools, c.tool_format,
        {.required = answer != nullptr || c.calls == Calls::kRequired, .parallel = c.parallel, .only = c.function});
    const GrammarPtr choices[] = {calls, answer};
    answer = or_answer ? Grammar::any_of(choices) : calls;
  }
  if (c.thought == Thought::kNone) return answer;
  return Grammar::after_thought(answer, c.thought == Thought::kOpen);
}

Json constraint_json(const Constraint& c) {
  Json json = {{"kind", name_of(kKinds, c.kind)}, {"text", c.text}, {"thought", name_of(kThoughts, c.thought)}};
  if (!c.tools.empty()) {
    json["tools"] = c.tools;
    json["tool_format"] = c.tool_format;
    json["calls"] = name_of(kCalls, c.calls);
    json["function"] = c.function;
    json["parallel"] = c.parallel;
  }
  return json;
}

Constraint constraint_from_json(const Fields& fields) {
  Constraint c{.kind = named(kKinds, fields, "kind"), .text = fields.string("text").value_or("")};
  c.thought = named(kThoughts, fields, "thought");
  c.tools = fields.string("tools").value_or("");
  c.tool_format = fields.string("tool_format").value_or("");
  c.calls = named(kCalls, fields, "calls");
  c.function = fields.string("function").value_or("");
  c.parallel = fields.boolean("parallel").value_or(true);
  return c;
}

}  // namespace fieldprint::server
