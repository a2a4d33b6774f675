#include "chat/messages.h"

#include "base/json.h"
#include "fieldprint/error.h"

namespace fieldprint {

using nlohmann::ordered_json;

std::string dumped(const ordered_json& value, int indent) {
  return value.dump(indent, ' ', false, ordered_json::error_handler_t::replace);
}

ordered_json message_list(const std::vector<Message>& messages) {
  ordered_json list = ordered_json::array();
  for (const auto& message : messages) {
    auto& entry = list.emplace_back(ordered_json{{"role", message.role}, {"content", message.content}});
    for (const auto& call : message.calls) {
      entry["tool_calls"].push_back(
          {{"type", "function"},
           {"function", {{"name", call.name}, {"arguments", ordered_json::parse(call.arguments)}}}});
    }
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
  return dumped(tools);
}

std::string to_json(const std::vector<Message>& messages) {
  ordered_json list = message_list(messages);
  for (size_t i = 0; i < messages.size(); ++i) {
    for (const TextRange& range : messages[i].control) list[i]["control_tokens"].push_back({range.begin, range.end});
  }
  return dumped({{"messages", list}}, 2) + "\n";
}

std::vector<Message> messages_from_json(std::string_view text, const std::string& where) {
  const Error refusal(ErrorKind::kBadInput, "this is no saved conversation", where,
                      "it should look like {\"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}]}");
  const auto json = parse_ordered_json(text, where);
  if (!json.is_object() || !json.contains("messages") || !json["messages"].is_array()) throw refusal;
  std::vector<Message> messages;
  for (const auto& entry : json["messages"]) {
    if (!entry.is_object() || !entry.contains("role") || !entry.contains("content")) throw refusal;
    if (!entry["role"].is_string() || !entry["content"].is_string()) throw refusal;
    auto& message = messages.emplace_back(Message{entry["role"], entry["content"]});
    for (const auto& range : entry.value("control_tokens", ordered_json::array())) {
      const bool good = range.is_array() && range.size() == 2 && range[0].is_number_unsigned() &&
                        range[1].is_number_unsigned() && range[0] <= range[1];
      if (!good) throw refusal;
      message.control.push_back({range[0].get<size_t>(), range[1].get<size_t>()});
    }
    for (const auto& call : entry.value("tool_calls", ordered_json::array())) {
      if (!call.is_object() || !call.contains("function")) throw refusal;
      const auto& function = call["function"];
      if (!function.is_object() || !function.contains("name") || !function["name"].is_string()) throw refusal;
      if (!function.contains("arguments") || !function["arguments"].is_object()) throw refusal;
      message.calls.push_back({function["name"], dumped(function["arguments"])});
    }
  }
  return messages;
}

}  // namespace fieldprint
