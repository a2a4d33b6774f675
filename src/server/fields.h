// The members of a JSON object that a client sent, each of the type that it should be: a wrong one is a 400 that names
// the field. What nobody asks for is ignored; null is as if it were not there.
#pragma once

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fieldprint::server {

using Json = nlohmann::ordered_json;

// An object made of the body of a request. Throws ApiError 400.
Json parse_body(std::string_view body);

// UTF-8 whatever the strings hold: bytes that are none become U+FFFD.
std::string dump(const Json& json);

class Fields {
 public:
  // `object` outlives it. `path`: what it is called in errors, as "messages[0]"; "" = the body. Throws ApiError 400
  // where it is no object.
  explicit Fields(const Json& object, std::string path = {});

  const Json* find(std::string_view name) const;  // null where it is not there, or null
  bool has(std::string_view name) const { return find(name) != nullptr; }

  std::optional<bool> boolean(std::string_view name) const;
  std::optional<int64_t> integer(std::string_view name, int64_t least = std::numeric_limits<int64_t>::min(),
                                 int64_t most = std::numeric_limits<int64_t>::max()) const;
  std::optional<double> number(std::string_view name, double least = -std::numeric_limits<double>::max(),
                               double most = std::numeric_limits<double>::max()) const;
  std::optional<std::string> string(std::string_view name) const;
  const Json* object(std::string_view name) const;
  const Json* array(std::string_view name) const;
  std::vector<std::string> strings(std::string_view name) const;  // of an array, or of one string

  std::string required_string(std::string_view name) const;
  const Json& required_array(std::string_view name) const;

  std::string path(std::string_view name) const;                                   // "messages[0].content"
  [[noreturn]] void refuse(std::string_view name, const std::string& what) const;  // ApiError 400 "FIELD: WHAT"
  const Json& json() const { return object_; }

 private:
  const Json& object_;
  std::string path_;
};

}  // namespace fieldprint::server
