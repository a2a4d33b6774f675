#include "server/fields.h"

#include <fmt/format.h>

#include <cmath>

#include "base/json.h"
#include "server/api_error.h"

namespace fieldprint::server {

namespace {

std::string_view kind_of(const Json& json) {
  if (json.is_object()) return "an object";
  if (json.is_array()) return "an array";
  if (json.is_string()) return "a string";
  if (json.is_boolean()) return "a boolean";
  if (json.is_number()) return "a number";
  return "null";
}

[[noreturn]] void wrong_type(const std::string& path, std::string_view expected, const Json& json) {
  throw ApiError(400, fmt::format("'{}' should be {}, not {}", path, expected, kind_of(json)), path);
}

}  // namespace

Json parse_body(std::string_view body) {
  if (body.empty()) throw ApiError(400, "the request has no body; JSON is expected");
  try {
    return parse_ordered_json(body, "the body");
  } catch (const Error& error) {
    throw ApiError(400, error.what());
  }
}

std::string dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

Fields::Fields(const Json& object, std::string path) : object_(object), path_(std::move(path)) {
  if (!object.is_object()) wrong_type(path_.empty() ? "body" : path_, "an object", object);
}

const Json* Fields::find(std::string_view name) const {
  const auto found = object_.find(name);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

std::string Fields::path(std::string_view name) const {
  return path_.empty() ? std::string(name) : fmt::format("{}.{}", path_, name);
}

void Fields::refuse(std::string_view name, const std::string& what) const {
  throw ApiError(400, fmt::format("'{}' {}", path(name), what), path(name));
}

std::optional<bool> Fields::boolean(std::string_view name) const {
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) wrong_type(path(name), "a boolean", *value);
  return value->get<bool>();
}

std::optional<int64_t> Fields::integer(std::string_view name, int64_t least, int64_t most) const {
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number()) wrong_type(path(name), "an integer", *value);
  // 1.0 is one, as JavaScript writes no difference.
  if (value->is_number_float() && value->get<double>() != std::floor(value->get<double>()))
    refuse(name, "should be a whole number");
  const bool fits = value->is_number_unsigned() ? value->get<uint64_t>() <= static_cast<uint64_t>(INT64_MAX)
                                                : std::abs(value->get<double>()) < 9.2e18;
  const int64_t number = fits ? value->get<int64_t>() : 0;
  if (!fits || number < least || number > most) {
    refuse(name, most == INT64_MAX ? fmt::format("should be at least {}", least)
                                   : fmt::format("should be from {} to {}", least, most));
  }
  return number;
}

std::optional<double> Fields::number(std::string_view name, double least, double most) const {
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number()) wrong_type(path(name), "a number", *value);
  const double number = value->get<double>();
  if (!(number >= least && number <= most)) {
    refuse(name, most == std::numeric_limits<double>::max() ? fmt::format("should be at least {}", least)
                                                            : fmt::format("should be from {} to {}", least, most));
  }
  return number;
}

std::optional<std::string> Fields::string(std::string_view name) const {
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) wrong_type(path(name), "a string", *value);
  return value->get<std::string>();
}

const Json* Fields::object(std::string_view name) const {
  const Json* value = find(name);
  if (value != nullptr && !value->is_object()) wrong_type(path(name), "an object", *value);
  return value;
}

const Json* Fields::array(std::string_view name) const {
  const Json* value = find(name);
  if (value != nullptr && !value->is_array()) wrong_type(path(name), "an array", *value);
  return value;
}

std::vector<std::string> Fields::strings(std::string_view name) const {
  const Json* value = find(name);
  if (value == nullptr) return {};
  if (value->is_string()) return {value->get<std::string>()};
  if (!value->is_array()) wrong_type(path(name), "a string or an array of strings", *value);
  std::vector<std::string> all;
  for (const Json& entry : *value) {
    if (!entry.is_string()) wrong_type(fmt::format("{}[{}]", path(name), all.size()), "a string", entry);
    all.push_back(entry.get<std::string>());
  }
  return all;
}

std::string Fields::required_string(std::string_view name) const {
  auto value = string(name);
  if (!value) refuse(name, "is missing");
  return *std::move(value);
}

const Json& Fields::required_array(std::string_view name) const {
  const Json* value = array(name);
  if (value == nullptr) refuse(name, "is missing");
  return *value;
}

}  // namespace fieldprint::server
