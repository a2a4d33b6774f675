#include "chat/tool_schema.h"

#include "base/json.h"
#include "fieldprint/error.h"

namespace fieldprint {

ToolSchema::ToolSchema(std::string_view tools) {
  if (tools.empty()) return;
  nlohmann::ordered_json list;
  try {
    list = parse_ordered_json(tools, "");
  } catch (const Error&) {  // then it names no function
    return;
  }
  if (!list.is_array()) return;
  for (const auto& tool : list) {
    const auto& function = tool.is_object() && tool.contains("function") ? tool["function"] : tool;
    if (!function.is_object() || !function.contains("name") || !function["name"].is_string()) continue;
    auto& types = functions_[function["name"].get<std::string>()];
    const auto parameters = function.find("parameters");
    if (parameters == function.end() || !parameters->is_object()) continue;
    const auto properties = parameters->find("properties");
    if (properties == parameters->end() || !properties->is_object()) continue;
    for (const auto& [name, schema] : properties->items()) {
      if (schema.is_object() && schema.contains("type") && schema["type"].is_string())
        types[name] = schema["type"].get<std::string>();
    }
  }
}

std::string_view ToolSchema::type(std::string_view function, std::string_view parameter) const {
  const auto found = functions_.find(function);
  if (found == functions_.end()) return {};
  const auto type = found->second.find(parameter);
  return type == found->second.end() ? std::string_view() : type->second;
}

}  // namespace fieldprint
