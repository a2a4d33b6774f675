// LFM2: <|tool_call_start|>[name(arg="v")]<|tool_call_end|>, Python's syntax, or JSON between the same marks.
#include <algorithm>
#include <cctype>
#include <iterator>

#include "chat/python_literal.h"
#include "chat/tool_format.h"

namespace fieldprint::formats {

static constexpr std::string_view kBegin = "<|tool_call_start|>", kEnd = "<|tool_call_end|>";

static std::vector<ToolCall> calls_of(std::string_view text) {
  const std::string_view begin = text.substr(std::min(text.find_first_not_of(" \t\r\n["), text.size()));
  if (begin.starts_with('{')) return json_calls(text);
  try {
    return parse_python_calls(text);
  } catch (const PythonRefusal& refusal) {
    throw CallRefusal(refusal.what());
  }
}

// Of an open list of calls: those that are closed, and of the last the arguments that a comma follows.
static std::vector<ToolCall> begun(std::string_view text) {
  if (trimmed(text).starts_with('{') || trimmed(text).starts_with("[{")) return partial_json_calls(text);
  // From the end: the first place where what stands before it makes calls once it is closed.
  for (size_t end = text.find_last_of("(,)"); end != text.npos && end > 0; end = text.find_last_of("(,)", end - 1)) {
    const bool closed = text[end] == ')';
    try {
      auto calls = parse_python_calls(std::string(text.substr(0, end + (text[end] != ','))) + (closed ? "]" : ")]"));
      if (!closed && !calls.empty()) calls.back().arguments.pop_back();  // its }
      return calls;
    } catch (const PythonRefusal&) {  // inside of a text or a list
    }
    if (text.size() - end > 4096) break;  // a long argument: later
  }
  return {};
}

// f(a=1, b="x"): arguments in the schema's order, those that are not required perhaps left out.
static GrammarPtr call_of(const CallFunction& function) {
  std::vector<GrammarPtr> items;
  for (const auto& property : function.properties) {
    const GrammarPtr value = property.type == "boolean"
                                 ? one_of({word("True"), word("False"), word("true"), word("false")})
                                 : property.value;
    items.push_back(in_order({word(property.name + "="), value}));
  }
  // What may follow the first argument that is given, and which one that may be.
  std::vector<GrammarPtr> beginnings, rest;
  bool may_be_empty = true;
  for (size_t i = items.size(); i-- > 0;) {
    std::vector<GrammarPtr> parts = {items[i]};
    parts.insert(parts.end(), rest.begin(), rest.end());
    if (function.properties[i].required) beginnings.clear(), may_be_empty = false;
    beginnings.push_back(in_order(std::move(parts)));
    const GrammarPtr next = in_order({word(", "), items[i]});
    rest.insert(rest.begin(), function.properties[i].required ? next : maybe(next));
  }
  std::vector<GrammarPtr> parts = {word(function.name + "(")};
  if (!beginnings.empty())
    parts.push_back(may_be_empty ? maybe(one_of(std::move(beginnings))) : one_of(std::move(beginnings)));
  parts.push_back(word(")"));
  return in_order(std::move(parts));
}

static GrammarPtr grammar(const CallRules& rules) {
  const auto plain = [](char c) {
    return c == '_' || c == '-' || c == '.' || std::isalnum(static_cast<unsigned char>(c)) != 0;
  };
  std::vector<GrammarPtr> calls;
  bool python = true;  // else a name is none in Python, and calls are JSON
  for (const CallFunction& function : rules.functions) {
    python = python && std::all_of(function.name.begin(), function.name.end(), plain);
    for (const auto& property : function.properties)
      python = python && !property.name.empty() && std::all_of(property.name.begin(), property.name.end(), plain);
    if (python) calls.push_back(call_of(function));
  }
  const GrammarPtr list = python
                              ? in_order({word("["), listed(one_of(std::move(calls)), ", ", rules.parallel), word("]")})
                              : json_call_list_grammar(rules);
  return marked_answer(rules, kBegin, in_order({list, word(kEnd)}), "");
}

// A JSON value, compact, as Python writes it.
static std::string python_of(std::string_view json) {
  constexpr std::pair<std::string_view, std::string_view> kLiterals[] = {
      {"true", "True"}, {"false", "False"}, {"null", "None"}};
  std::string text;
  bool string = false;
  for (size_t i = 0; i < json.size(); ++i) {
    if (json[i] == '"') string = !string;
    if (string && json[i] == '\\') text += json[i++];
    const auto* literal = std::find_if(std::begin(kLiterals), std::end(kLiterals),
                                       [&](const auto& pair) { return json.substr(i).starts_with(pair.first); });
    if (!string && literal != std::end(kLiterals)) {
      text += literal->second;
      i += literal->first.size() - 1;
      continue;
    }
    text += json[i];
    if (!string && (json[i] == ',' || json[i] == ':')) text += ' ';
  }
  return text;
}

static std::string write(const std::vector<ToolCall>& calls) {
  std::string text;
  for (const ToolCall& call : calls) {
    std::string arguments;
    for (const auto& [name, value] : json_members(call.arguments))
      arguments += (arguments.empty() ? "" : ", ") + name + "=" + python_of(value);
    text += (text.empty() ? "" : ", ") + call.name + "(" + arguments + ")";
  }
  return "[" + text + "]";
}

extern const ToolFormat kLfm2;
const ToolFormat kLfm2 = {"lfm2",
                          [](std::string_view source) {
                            return source.find("<|tool_call_start|>") != source.npos ||
                                   source.find("<|tool_list_start|>") != source.npos ||
                                   source.find("List of tools: ") != source.npos;  // LFM2.5 says no more
                          },
                          [](std::string_view text, const ReplyOptions& options, Reply& reply) {
                            read_marked(text, kBegin, kEnd, calls_of, options, reply);
                          },
                          [](std::string_view text, const ReplyOptions& options) {
                            return partial_marked(text, kBegin, kEnd, calls_of, begun, options);
                          },
                          grammar,
                          write,
                          kBegin,
                          kEnd};

}  // namespace fieldprint::formats
