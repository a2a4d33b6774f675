// A JSON file from strangers, with access that names file and key in what it refuses.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "models/config.h"

namespace fieldprint {

class JsonFile : public Config {
 public:
  explicit JsonFile(const std::string& path);  // Error kNotFound, kIo, kBadFile
  // The same of a text; `name` stands in messages.
  static JsonFile parse(std::string_view text, std::string name);
  // The same, or an empty object where there is no such file.
  static JsonFile if_there(const std::string& path);

  const nlohmann::json& root() const { return root_; }  // an object

  // nullptr where the key is absent or null. A key may lead into objects: "rope_parameters/rope_theta".
  const nlohmann::json* find(std::string_view key) const;

  bool has(std::string_view key) const override;
  int64_t integer(std::string_view key, int64_t least, int64_t most,
                  std::optional<int64_t> fallback = {}) const override;
  double number(std::string_view key, std::optional<double> fallback = {}) const override;
  bool boolean(std::string_view key, bool fallback) const override;
  std::string string(std::string_view key, std::string_view fallback) const override;
  std::vector<std::string> strings(std::string_view key) const override;
  std::vector<int64_t> integers(std::string_view key) const override;
  std::vector<double> numbers(std::string_view key) const override;
  const std::string& path() const override { return path_; }

 private:
  JsonFile() = default;
  void read(std::string_view text);

  std::string path_;
  nlohmann::json root_ = nlohmann::json::object();
};

}  // namespace fieldprint
