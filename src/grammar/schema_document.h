// A JSON schema as a document: its parts, where they stand, and what a $ref means.
#pragma once

#include <deque>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace fieldprint {

using Json = nlohmann::ordered_json;
using Schema = const Json*;             // a boolean or an object; lives as long as the document
using SchemaSet = std::vector<Schema>;  // all of them hold; none: anything is valid

class SchemaDocument {
 public:
  // Throws Error kBadInput for what is no JSON, or neither an object nor a boolean.
  explicit SchemaDocument(std::string_view text);

  Schema root() const { return &root_; }
  // A part of `parent`; throws kBadInput where it is no schema.
  Schema part(Schema parent, const Json& value, const std::string& step);
  Schema made(Json schema, const std::string& path);  // one that stands nowhere in the text
  Schema never() { return &never_; }                  // false
  // Throws kBadInput where it leads nowhere, kUnsupported where out of the document.
  Schema referred(Schema from, std::string_view reference);
  std::string path(Schema schema, std::string_view keyword = {}) const;  // "#/properties/a/pattern"

 private:
  void note(const Json& value, const std::string& path, int depth);

  Json root_, never_ = false;
  std::deque<Json> made_;
  std::unordered_map<Schema, std::string> paths_;
  std::unordered_map<std::string, Schema> anchors_;  // "#name", and "$id" as it is written
};

}  // namespace fieldprint
