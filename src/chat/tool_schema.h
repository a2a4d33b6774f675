// What a list of tools says of its functions: their names, and the types of their arguments.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace fieldprint {

class ToolSchema {
 public:
  explicit ToolSchema(std::string_view tools);  // of tools_from_json(); "" = none

  bool has(std::string_view function) const { return functions_.contains(function); }
  // "string", "integer", "number", "boolean", "object", "array"; "" where the schema does not say one.
  std::string_view type(std::string_view function, std::string_view parameter) const;

 private:
  std::map<std::string, std::map<std::string, std::string, std::less<>>, std::less<>> functions_;
};

}  // namespace fieldprint
