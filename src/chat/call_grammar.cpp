#include "chat/call_grammar.h"

#include <algorithm>

#include "base/json.h"
#include "chat/tool_format.h"
#include "fieldprint/error.h"
#include "fieldprint/json.h"

namespace fieldprint {

using Json = nlohmann::ordered_json;

GrammarPtr in_order(std::vector<GrammarPtr> parts) { return Grammar::sequence(parts); }
GrammarPtr one_of(std::vector<GrammarPtr> choices) {
  return choices.size() == 1 ? choices.front() : Grammar::any_of(choices);
}
GrammarPtr maybe(const GrammarPtr& part) { return Grammar::repeat(part, 0, 1); }
GrammarPtr word(std::string_view text) { return Grammar::text(text); }

GrammarPtr listed(const GrammarPtr& part, std::string_view between, bool parallel) {
  if (!parallel) return part;
  return in_order({part, Grammar::repeat(in_order({word(between), part}), 0)});
}

namespace {

constexpr JsonSchemaOptions kSchema{.compact = false, .additional_properties = false};

// `strict`: says what cannot be held to; else any JSON of that type will do.
GrammarPtr schema_grammar(const Json& schema, bool strict, const std::string& where) {
  try {
    return Grammar::from_json_schema(schema.dump(), kSchema);
  } catch (const Error& error) {
    if (strict) throw Error(error.kind(), error.what(), where);
    return nullptr;
  }
}

// A property's own schema, with the definitions that it may refer to.
Json standing_alone(const Json& property, const Json& whole) {
  if (!property.is_object()) return property;
  Json schema = property;
  for (const char* name : {"$defs", "definitions"}) {
    if (whole.contains(name) && !schema.contains(name)) schema[name] = whole[name];
  }
  return schema;
}

CallFunction function_of(const Json& entry) {
  const Json& function = entry.contains("function") ? entry["function"] : entry;
  CallFunction made{.name = function.value("name", "")};
  const Json parameters = function.contains("parameters") && function["parameters"].is_object()
                              ? function["parameters"]
                              : Json{{"type", "object"}, {"properties", Json::object()}};
  const bool strict = function.contains("strict") && function["strict"].is_boolean() && function["strict"].get<bool>();
  made.arguments = schema_grammar(parameters, strict, "the function " + made.name);
  if (made.arguments == nullptr) made.arguments = Grammar::json_object();
  if (!parameters.contains("properties") || !parameters["properties"].is_object()) return made;
  const Json required = parameters.value("required", Json::array());
  for (const auto& [name, property] : parameters["properties"].items()) {
    CallFunction::Property one{.name = name};
    if (property.is_object() && property.contains("type") && property["type"].is_string())
      one.type = property["type"].get<std::string>();
    if (property.is_object() && property.contains("enum") && property["enum"].is_array()) {
      for (const Json& value : property["enum"])
        if (value.is_string()) one.texts.push_back(value.get<std::string>());
      if (one.texts.size() != property["enum"].size()) one.texts.clear();
    }
    one.value = schema_grammar(standing_alone(property, parameters), false, "");
    if (one.value == nullptr) one.value = Grammar::from_json_schema("true");
    one.required = required.is_array() && std::find(required.begin(), required.end(), name) != required.end();
    made.properties.push_back(std::move(one));
  }
  return made;
}

}  // namespace

CallRules call_rules(std::string_view tools, const CallGrammarOptions& options) {
  CallRules rules{.required = options.required, .parallel = options.parallel};
  const Json list = parse_ordered_json(tools, "tools");
  for (const Json& entry : list) {
    CallFunction function = function_of(entry);
    if (options.only.empty() || function.name == options.only) rules.functions.push_back(std::move(function));
  }
  if (rules.functions.empty())
    throw Error(ErrorKind::kBadInput, "no function is named " + json_string(options.only), "tools");
  return rules;
}

GrammarPtr json_call_grammar(const CallRules& rules, std::string_view key) {
  std::vector<GrammarPtr> all;
  for (const CallFunction& function : rules.functions) {
    all.push_back(in_order({word("{\"name\": " + json_string(function.name) + ", " + json_string(key) + ": "),
                            function.arguments, word("}")}));
  }
  return one_of(std::move(all));
}

GrammarPtr json_call_list_grammar(const CallRules& rules) {
  return in_order({word("["), listed(json_call_grammar(rules), ", ", rules.parallel), word("]")});
}

// Any text in which `mark` does not stand: a rule for each length of a beginning of it that the text may end with, as
// Knuth, Morris and Pratt have them. The mark's first byte comes a second time in none of those that formats have.
static GrammarPtr text_without(std::string_view mark) {
  std::string rules = "root ::= s0\n";
  const auto quoted = [](char c) {
    return c == '"' || c == '\\' || c == ']' || c == '^' || c == '-' ? std::string("\\") + c : std::string(1, c);
  };
  const std::string first = quoted(mark[0]);
  for (size_t i = 0; i < mark.size(); ++i) {
    const std::string next = quoted(mark[i]), name = "s" + std::to_string(i);
    rules += name + " ::= \"\"";
    if (i + 1 < mark.size()) rules += " | [" + next + "] s" + std::to_string(i + 1);
    if (i > 0) rules += " | [" + first + "] s1 | [^" + next + first + "] s0\n";
    else rules += " | [^" + next + "] s0\n";
  }
  return Grammar::from_gbnf(rules);
}

GrammarPtr marked_answer(const CallRules& rules, std::string_view begin, const GrammarPtr& body,
                         std::string_view between) {
  if (rules.required) {
    const GrammarPtr call = in_order({word(begin), body});
    return listed(call, between, rules.parallel);
  }
  if (!rules.parallel) return one_of({text_without(begin), in_order({Grammar::until(begin), body})});
  const std::pair<std::string, GrammarPtr> trigger(begin, body);
  return Grammar::with_triggers({&trigger, 1});
}

GrammarPtr call_grammar(std::string_view tools, std::string_view format, const CallGrammarOptions& options) {
  for (const ToolFormat* each : tool_formats()) {
    if (each->name == format) return each->grammar(call_rules(tools, options));
  }
  throw Error(ErrorKind::kUnsupported, "no format of calls is named " + json_string(format));
}

}  // namespace fieldprint
