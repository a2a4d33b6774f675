#include "mcp/schema_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace fieldprint::mcp {
namespace {

bool is_integer(const Json& value) {  // 5.0 is one too
  return value.is_number_integer() ||
         (value.is_number_float() && std::trunc(value.get<double>()) == value.get<double>());
}

bool has_type(const Json& value, const std::string& type) {
  if (type == "object") return value.is_object();
  if (type == "array") return value.is_array();
  if (type == "string") return value.is_string();
  if (type == "integer") return is_integer(value);
  if (type == "number") return value.is_number();
  if (type == "boolean") return value.is_boolean();
  if (type == "null") return value.is_null();
  return true;
}

std::string type_fault(const Json& value, const Json& type, const std::string& where) {
  std::string names;
  for (const Json& each : type.is_array() ? type : Json::array({type})) {
    const std::string name = each.get<std::string>();
    if (has_type(value, name)) return {};
    names += (names.empty() ? "" : " or ") + name;
  }
  return fmt::format("{}: should be of type {}", where, names);
}

size_t characters(const std::string& text) {  // of valid UTF-8
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string object_fault(const Json& value, const Json& schema, const std::string& where) {
  if (const auto required = schema.find("required"); required != schema.end())
    for (const Json& name : *required)
      if (!value.contains(name.get<std::string>()))
        return fmt::format("{}: '{}' is missing", where, name.get<std::string>());
  const auto properties = schema.find("properties"), additional = schema.find("additionalProperties");
  for (const auto& [name, member] : value.items()) {
    const std::string place = where + "." + name;
    std::string fault;
    if (properties != schema.end() && properties->contains(name)) {
      fault = schema_fault(member, properties->at(name), place);
    } else if (additional != schema.end()) {
      if (*additional == false) fault = fmt::format("{}: is not known", place);
      else fault = schema_fault(member, *additional, place);
    }
    if (!fault.empty()) return fault;
  }
  return {};
}

// `least` and `most` of a count, under these names.
std::string count_fault(size_t count, const Json& schema, const char* least, const char* most, const std::string& where,
                        const char* what) {
  if (const auto bound = schema.find(least); bound != schema.end() && count < bound->get<size_t>())
    return fmt::format("{}: should have at least {} {}", where, bound->get<size_t>(), what);
  if (const auto bound = schema.find(most); bound != schema.end() && count > bound->get<size_t>())
    return fmt::format("{}: should have at most {} {}, not {}", where, bound->get<size_t>(), what, count);
  return {};
}

}  // namespace

std::string schema_fault(const Json& value, const Json& schema, const std::string& where) {
  if (!schema.is_object()) return {};
  std::string fault;
  if (const auto type = schema.find("type"); type != schema.end()) fault = type_fault(value, *type, where);
  if (!fault.empty()) return fault;
  if (const auto values = schema.find("enum"); values != schema.end())
    if (std::find(values->begin(), values->end(), value) == values->end())
      return fmt::format("{}: should be one of {}", where, to_text(*values));
  if (const auto only = schema.find("const"); only != schema.end() && *only != value)
    return fmt::format("{}: should be {}", where, to_text(*only));
  if (value.is_object()) return object_fault(value, schema, where);
  if (value.is_array()) {
    fault = count_fault(value.size(), schema, "minItems", "maxItems", where, "items");
    if (const auto items = schema.find("items"); items != schema.end())
      for (size_t i = 0; i < value.size() && fault.empty(); ++i)
        fault = schema_fault(value[i], *items, fmt::format("{}[{}]", where, i));
    return fault;
  }
  if (value.is_string())
    return count_fault(characters(value.get_ref<const std::string&>()), schema, "minLength", "maxLength", where,
                       "characters");
  if (value.is_number()) {
    if (const auto least = schema.find("minimum"); least != schema.end() && value < *least)
      return fmt::format("{}: should be at least {}", where, to_text(*least));
    if (const auto most = schema.find("maximum"); most != schema.end() && value > *most)
      return fmt::format("{}: should be at most {}", where, to_text(*most));
  }
  return {};
}

}  // namespace fieldprint::mcp
