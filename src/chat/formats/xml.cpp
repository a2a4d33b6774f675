// Qwen3-Coder, Qwen 3.5 and 3.6, Nemotron 3:
//   <tool_call>\n<function=NAME>\n<parameter=P>\nVALUE\n</parameter>\n</function>\n</tool_call>
// A value is the text itself for a string, else JSON or what Python's str() makes of it: the function's schema tells
// which. Where it does not, a list or an object is JSON and everything else is text.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "chat/tool_format.h"
#include "chat/tool_schema.h"
#include "fieldprint/json.h"

namespace fieldprint::formats {
namespace {

constexpr std::string_view kParameter = "<parameter=", kParameterEnd = "</parameter>", kFunctionEnd = "</function>";

std::string argument(std::string_view value, std::string_view type) {
  if (type == "string") return json_string(value);
  const std::string_view text = trimmed(value);
  std::optional<std::string> json;
  if (text == "True" || text == "False") json = text == "True" ? "true" : "false";
  else if (text == "None") json = "null";
  else json = compact_json(text);
  const char first = json && !json->empty() ? json->front() : '\0';
  const bool is_list = first == '[', is_object = first == '{', is_string = first == '"';
  if (type.empty()) return is_list || is_object ? *json : json_string(value);
  // A string where the schema wants something else is what the model wrote; whoever runs the function will refuse it.
  if (!json || is_string) return json_string(value);
  return *json;
}

// The place of the </parameter> that ends a value: the first behind which the call goes on.
size_t value_end(std::string_view text) {
  for (size_t at = 0; (at = text.find(kParameterEnd, at)) != text.npos; at += kParameterEnd.size()) {
    const size_t next = std::min(text.find_first_not_of(" \t\r\n", at + kParameterEnd.size()), text.size());
    const std::string_view after = text.substr(next);
    if (after.starts_with(kParameter) || after.starts_with(kFunctionEnd)) return at;
  }
  throw CallRefusal("a parameter has no end");
}

// "NAME>" at the start of `text`, which is cut off.
std::string take_name(std::string_view& text, const char* what) {
  const size_t end = text.find('>');
  const std::string_view name = trimmed(text.substr(0, end));
  if (end == text.npos || name.empty() || name.find_first_of("<\n") != name.npos)
    throw CallRefusal(fmt::format("a {} has no name", what));
  text.remove_prefix(end + 1);
  return std::string(name);
}

std::vector<ToolCall> calls_of(std::string_view text, const ToolSchema& schema) {
  constexpr std::string_view kFunction = "<function=";
  std::vector<ToolCall> calls;
  text = trimmed(text);
  if (!text.starts_with(kFunction)) throw CallRefusal("a call should begin with <function=");
  while (text.starts_with(kFunction)) {
    text.remove_prefix(kFunction.size());
    ToolCall call{take_name(text, "function"), ""};
    std::set<std::string> names;
    for (text = trimmed(text); text.starts_with(kParameter); text = trimmed(text)) {
      text.remove_prefix(kParameter.size());
      const std::string name = take_name(text, "parameter");
      if (!names.insert(name).second) throw CallRefusal(fmt::format("the parameter {} stands twice", name));
      const size_t end = value_end(text);
      std::string_view value = text.substr(0, end);
      text.remove_prefix(end + kParameterEnd.size());
      if (value.starts_with('\n')) value.remove_prefix(1);  // the format's own, as is the one at the end
      if (value.ends_with('\n')) value.remove_suffix(1);
      call.arguments += fmt::format("{}{}:{}", call.arguments.empty() ? "" : ",", json_string(name),
                                    argument(value, schema.type(call.name, name)));
    }
    if (!text.starts_with(kFunctionEnd)) throw CallRefusal("a function has no end");
    text = trimmed(text.substr(kFunctionEnd.size()));
    call.arguments = "{" + call.arguments + "}";
    calls.push_back(std::move(call));
  }
  if (!text.empty()) throw CallRefusal("a text stands behind the function");
  return calls;
}

// Of an open call: the parameters that have an end.
std::vector<ToolCall> begun(std::string_view text, const ToolSchema& schema) {
  const size_t value = text.rfind(kParameterEnd), name = text.find('>');
  if (name == text.npos) return {};
  const size_t end = value == text.npos ? name + 1 : value + kParameterEnd.size();
  try {
    auto calls = calls_of(std::string(text.substr(0, end)) + std::string(kFunctionEnd), schema);
    calls.back().arguments.pop_back();  // its }
    return calls;
  } catch (const CallRefusal&) {
    return {};
  }
}

GrammarPtr grammar(const CallRules& rules) {
  constexpr std::string_view kEnd = "\n</parameter>\n";
  std::vector<GrammarPtr> functions;
  for (const CallFunction& function : rules.functions) {
    std::vector<GrammarPtr> parts = {word("<function=" + function.name + ">\n")};
    for (const auto& property : function.properties) {
      GrammarPtr value = in_order({property.value, word(kEnd)});
      if (property.type == "string") value = Grammar::until(kEnd);  // the text itself
      if (!property.texts.empty()) {
        std::vector<GrammarPtr> texts;
        for (const std::string& text : property.texts) texts.push_back(word(text));
        value = in_order({one_of(std::move(texts)), word(kEnd)});
      }
      const GrammarPtr parameter = in_order({word("<parameter=" + property.name + ">\n"), value});
      parts.push_back(property.required ? parameter : maybe(parameter));
    }
    parts.push_back(word("</function>\n</tool_call>"));
    functions.push_back(in_order(std::move(parts)));
  }
  return marked_answer(rules, "<tool_call>", in_order({maybe(word("\n")), one_of(std::move(functions))}), "\n");
}

}  // namespace

extern const ToolFormat kXml;
const ToolFormat kXml = {"xml",
                         [](std::string_view source) {
                           return source.find("<tool_call>") != source.npos &&
                                  source.find("<function=") != source.npos && source.find(kParameter) != source.npos;
                         },
                         [](std::string_view text, const ReplyOptions& options, Reply& reply) {
                           const ToolSchema schema(options.tools);
                           read_marked(
                               text, "<tool_call>", "</tool_call>",
                               [&](std::string_view inside) { return calls_of(inside, schema); }, options, reply);
                         },
                         [](std::string_view text, const ReplyOptions& options) {
                           const ToolSchema schema(options.tools);
                           return partial_marked(
                               text, "<tool_call>", "</tool_call>",
                               [&](std::string_view inside) { return calls_of(inside, schema); },
                               [&](std::string_view inside) { return begun(inside, schema); }, options);
                         },
                         grammar};

}  // namespace fieldprint::formats
