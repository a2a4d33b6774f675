#include "make/json_file.h"

#include <fmt/format.h>

#include <cmath>
#include <filesystem>

#include "base/json.h"
#include "base/mapped_file.h"
#include "fieldprint/error.h"

namespace fieldprint {

using nlohmann::json;

JsonFile::JsonFile(const std::string& path) : path_(path) {
  const MappedFile file(path);
  const auto bytes = file.bytes();
  read({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

JsonFile JsonFile::parse(std::string_view text, std::string name) {
  JsonFile file;
  file.path_ = std::move(name);
  file.read(text);
  return file;
}

void JsonFile::read(std::string_view text) {
  root_ = parse_json(text, path_, {.kind = ErrorKind::kBadFile, .python = true});
  if (!root_.is_object()) refuse("this is not a JSON object");
}

JsonFile JsonFile::if_there(const std::string& path) {
  std::error_code error;
  if (std::filesystem::exists(path, error)) return JsonFile(path);
  JsonFile none;
  none.path_ = path;
  return none;
}

const json* JsonFile::find(std::string_view key) const {
  const json* at = &root_;
  for (size_t begin = 0; begin <= key.size();) {
    const size_t end = std::min(key.find('/', begin), key.size());
    if (!at->is_object()) return nullptr;
    const auto found = at->find(std::string(key.substr(begin, end - begin)));
    if (found == at->end() || found->is_null()) return nullptr;
    at = &*found;
    begin = end + 1;
  }
  return at;
}

bool JsonFile::has(std::string_view key) const {
  const json* value = find(key);
  return value != nullptr && !(value->is_object() && value->empty());
}

int64_t JsonFile::integer(std::string_view key, int64_t least, int64_t most, std::optional<int64_t> fallback) const {
  const json* value = find(key);
  if (value == nullptr && fallback) return *fallback;
  if (value == nullptr) refuse(fmt::format("has no {}", key));
  const bool fits = value->is_number_unsigned() ? value->get<uint64_t>() <= static_cast<uint64_t>(most)
                                                : value->is_number_integer() && value->get<int64_t>() <= most;
  if (!fits || value->get<int64_t>() < least)
    refuse(fmt::format("{} should be an integer of {} to {}", key, least, most));
  return value->get<int64_t>();
}

double JsonFile::number(std::string_view key, std::optional<double> fallback) const {
  const json* value = find(key);
  if (value == nullptr && fallback) return *fallback;
  if (value == nullptr) refuse(fmt::format("has no {}", key));
  if (!value->is_number() || !std::isfinite(value->get<double>()))
    refuse(fmt::format("{} should be a finite number", key));
  return value->get<double>();
}

bool JsonFile::boolean(std::string_view key, bool fallback) const {
  const json* value = find(key);
  if (value == nullptr) return fallback;
  if (!value->is_boolean()) refuse(fmt::format("{} should be true or false", key));
  return value->get<bool>();
}

std::string JsonFile::string(std::string_view key, std::string_view fallback) const {
  const json* value = find(key);
  if (value == nullptr) return std::string(fallback);
  if (!value->is_string()) refuse(fmt::format("{} should be a string", key));
  return value->get<std::string>();
}

std::vector<std::string> JsonFile::strings(std::string_view key) const {
  std::vector<std::string> all;
  const json* value = find(key);
  if (value == nullptr) return all;
  if (!value->is_array()) refuse(fmt::format("{} should be a list of strings", key));
  for (const json& one : *value) {
    if (!one.is_string()) refuse(fmt::format("{} should be a list of strings", key));
    all.push_back(one.get<std::string>());
  }
  return all;
}

std::vector<int64_t> JsonFile::integers(std::string_view key) const {
  std::vector<int64_t> all;
  const json* value = find(key);
  if (value == nullptr) return all;
  if (!value->is_array()) refuse(fmt::format("{} should be a list of integers", key));
  for (const json& one : *value) {
    if (!one.is_number_integer() || (one.is_number_unsigned() && one.get<uint64_t>() > INT64_MAX))
      refuse(fmt::format("{} should be a list of integers", key));
    all.push_back(one.get<int64_t>());
  }
  return all;
}

std::vector<double> JsonFile::numbers(std::string_view key) const {
  std::vector<double> all;
  const json* value = find(key);
  if (value == nullptr) return all;
  if (!value->is_array()) refuse(fmt::format("{} should be a list of finite numbers", key));
  for (const json& one : *value) {
    if (!one.is_number() || !std::isfinite(one.get<double>()))
      refuse(fmt::format("{} should be a list of finite numbers", key));
    all.push_back(one.get<double>());
  }
  return all;
}

}  // namespace fieldprint
