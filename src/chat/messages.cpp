#include "chat/messages.h"

#include <fmt/format.h>

#include "base/json.h"
#include "fieldprint/error.h"
#include "fieldprint/json.h"
#include "jinja/json.h"

namespace fieldprint {

using nlohmann::ordered_json;

std::string message_list(const std::vector<Message>& messages, const MessageListOptions& options) {
  std::string list;
  for (const Message& message : messages) {
    if (!list.empty()) list += options.separator;
    list += fmt::format(R"({{"role":{},"content":{})", json_string(message.role), json_string(message.content));
    // The template of gpt-oss takes thoughts or a text with calls, and refuses both.
    const bool both = options.reasoning == "thinking" && !message.calls.empty() && !message.content.empty();
    if (!message.reasoning.empty() && !options.reasoning.empty() && !both)
      list += fmt::format(R"(,"{}":{})", options.reasoning, json_string(message.reasoning));
    std::string calls;
    for (const ToolCall& call : message.calls) {
      calls += fmt::format(R"({}{{"type":"function","function":{{"name":{},"arguments":{}}}}})",
                           calls.empty() ? "" : ",", json_string(call.name), call.arguments);
    }
    if (!calls.empty()) list += fmt::format(R"(,"tool_calls":[{}])", calls);
    std::string control;
    for (const TextRange& range : message.control)
      control += fmt::format("{}[{},{}]", control.empty() ? "" : ",", range.begin, range.end);
    if (options.control && !control.empty()) list += fmt::format(R"(,"control_tokens":[{}])", control);
    list += '}';
  }
  return list;
}

std::string tools_from_json(std::string_view text, const std::string& where) {
  const auto tools = parse_ordered_json(text, where);
  bool good = tools.is_array() && !tools.empty();
  for (size_t i = 0; good && i < tools.size(); ++i) {
    const auto& function = tools[i].is_object() && tools[i].contains("function") ? tools[i]["function"] : tools[i];
    good = function.is_object() && function.contains("name") && function["name"].is_string();
  }
  if (!good)
    throw Error(ErrorKind::kBadInput, "this is no list of tools", where,
                R"(it should look like [{"type": "function", "function": {"name": ..., "parameters": {...}}}])");
  return tools.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

std::string to_json(const std::vector<Message>& messages) {
  return "{\"messages\": [\n  " + message_list(messages, {.separator = ",\n  ", .control = true}) + "\n]}\n";
}

std::vector<Message> messages_from_json(std::string_view text, const std::string& where) {
  const Error refusal(ErrorKind::kBadInput, "this is no saved conversation", where,
                      "it should look like {\"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}]}");
  const auto json = parse_ordered_json(text, where);
  // Read once more for the arguments of calls, whose integers keep every digit so.
  jinja::Heap heap(UINT64_MAX, UINT64_MAX);
  const jinja::Value exact = [&] {
    try {
      return jinja::parse_json(heap, text);
    } catch (const jinja::Failure& failure) {
      throw Error(ErrorKind::kBadInput, failure.what(), where);
    }
  }();
  const auto member = [](jinja::Value object, std::string_view name) { return *object.dict().find(name); };
  if (!json.is_object() || !json.contains("messages") || !json["messages"].is_array()) throw refusal;
  std::vector<Message> messages;
  for (const auto& entry : json["messages"]) {
    if (!entry.is_object() || !entry.contains("role") || !entry.contains("content")) throw refusal;
    if (!entry["role"].is_string() || !entry["content"].is_string()) throw refusal;
    auto& message = messages.emplace_back(Message{entry["role"], entry["content"]});
    const auto reasoning = entry.find("reasoning_content");
    if (reasoning != entry.end()) {
      if (!reasoning->is_string()) throw refusal;
      message.reasoning = *reasoning;
    }
    for (const auto& range : entry.value("control_tokens", ordered_json::array())) {
      const bool good = range.is_array() && range.size() == 2 && range[0].is_number_unsigned() &&
                        range[1].is_number_unsigned() && range[0] <= range[1];
      if (!good) throw refusal;
      message.control.push_back({range[0].get<size_t>(), range[1].get<size_t>()});
    }
    const auto calls = entry.value("tool_calls", ordered_json::array());
    if (!calls.is_array()) throw refusal;
    for (const auto& call : calls) {
      if (!call.is_object() || !call.contains("function")) throw refusal;
      const auto& function = call["function"];
      if (!function.is_object() || !function.contains("name") || !function["name"].is_string()) throw refusal;
      if (!function.contains("arguments") || !function["arguments"].is_object()) throw refusal;
      const jinja::Value entries = member(exact, "messages").items().data[messages.size() - 1];
      const jinja::Value made = member(entries, "tool_calls").items().data[message.calls.size()];
      message.calls.push_back(
          {function["name"], jinja::dump_compact_json(heap, member(member(made, "function"), "arguments"))});
    }
  }
  return messages;
}

}  // namespace fieldprint
