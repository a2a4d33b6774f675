// Whether a JSON text is valid under a JSON Schema (drafts 4 to 2020-12; RFC 8259 for the text). The grammar of a
// schema (src/grammar/json_schema.h) is for writing: one order of properties, one spelling of each number. Here any is
// good. Numbers are compared as the decimals that they are, whatever their size: 1.0 is an integer, and equal to 1.
#pragma once

#include <memory>
#include <string_view>

namespace fieldprint::distil {

// Immutable; from any thread.
class JsonSchema {
 public:
  // Keywords that say nothing about validity are passed over, unknown ones too. Throws Error kBadInput for what is no
  // JSON or no schema, kUnsupported with its place for a keyword that cannot be held to ($dynamicRef,
  // unevaluatedItems).
  explicit JsonSchema(std::string_view schema);

  // Throws Error kBadInput for what is no JSON, or has two equal names in an object; kLimit where checking takes too
  // many steps: of a pattern, or of a schema that refers to itself without an end.
  bool valid(std::string_view text) const;

 private:
  struct Compiled;
  std::shared_ptr<const Compiled> compiled_;
};

}  // namespace fieldprint::distil
