// A JSON file from strangers, with access that names file and key in what it refuses.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace fieldprint {

class JsonFile {
 public:
  explicit JsonFile(const std::string& path);  // Error kNotFound, kIo, kBadFile
  // The same, or an empty object where there is no such file.
  static JsonFile if_there(const std::string& path);

  const nlohmann::json& root() const { return root_; }  // an object
  const std::string& path() const { return path_; }

  // nullptr where the key is absent or null. A key may lead into objects: "rope_parameters/rope_theta".
  const nlohmann::json* find(std::string_view key) const;
  int64_t integer(std::string_view key, int64_t least, int64_t most) const;
  int64_t integer(std::string_view key, int64_t least, int64_t most, int64_t fallback) const;
  double number(std::string_view key, std::optional<double> fallback = {}) const;
  bool boolean(std::string_view key, bool fallback) const;
  std::string string(std::string_view key, std::string_view fallback) const;

  [[noreturn]] void refuse(const std::string& what) const;       // kBadFile
  [[noreturn]] void unsupported(const std::string& what) const;  // kUnsupported

 private:
  JsonFile() = default;
  std::string path_;
  nlohmann::json root_ = nlohmann::json::object();
};

}  // namespace fieldprint
