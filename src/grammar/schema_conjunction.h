// What a schema asks of one value, put together: $ref followed, allOf merged, and anyOf multiplied out, so that a value
// is valid where it is valid under one of a list of conjunctions.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "grammar/decimal.h"
#include "grammar/language.h"
#include "grammar/schema_document.h"

namespace fieldprint {

enum JsonType : unsigned {
  kNullType = 1,
  kBooleanType = 2,
  kIntegerType = 4,
  kNumberType = 8,  // numbers that are no integers; "number" is both
  kStringType = 16,
  kArrayType = 32,
  kObjectType = 64,
  kAnyType = 127,
};

struct Conjunction {
  struct Pattern {
    std::string regex, where;
  };
  // What one schema says about properties, about items.
  struct Properties {
    std::vector<std::pair<std::string, Schema>> named;
    std::vector<std::pair<Pattern, Schema>> patterned;
    Schema additional = nullptr;  // nullptr: anything
  };
  struct Items {
    std::vector<Schema> prefix;
    Schema rest = nullptr;
  };
  struct Refusal {
    unsigned types;  // where one of these is possible the keyword cannot be held to
    std::string what, where;
  };

  unsigned types = kAnyType;     // that are written
  unsigned possible = kAnyType;  // that are valid: keywords about objects say nothing about strings, but mean objects
  unsigned implied = 0;          // by keywords that concern a type
  bool typed = false;
  std::optional<std::vector<Json>> values;
  std::optional<Bound> min, max;
  uint64_t multiple_of = 1;
  uint32_t min_length = 0, max_length = kUnbounded;
  std::vector<Pattern> patterns;
  uint32_t min_items = 0, max_items = kUnbounded;
  std::vector<Items> items;
  std::string unique_items;  // where it is asked for
  uint32_t min_properties = 0, max_properties = kUnbounded;
  std::string min_properties_where;
  std::vector<Properties> properties;
  std::vector<std::string> required;  // in order
  std::set<std::string> forbidden;
  std::vector<Schema> property_names;
  bool additional_given = false, evaluated_only = false;
  std::vector<Refusal> refusals;
};

// Works on a document, which outlives it. Members throw Error kBadInput for what is no schema, kUnsupported for what
// cannot be held to, kLimit.
class SchemaReader {
 public:
  explicit SchemaReader(SchemaDocument& document) : document_(document) {}

  // A value is valid under `set` if and only if under one of these, but that oneOf may leave out values that are.
  const std::vector<Conjunction>& conjunctions(const SchemaSet& set);
  bool valid(const Json& value, const SchemaSet& set);

  SchemaSet of_property(const Conjunction& c, const std::string& name);
  SchemaSet of_item(const Conjunction& c, size_t index) const;
  // The names that properties or required say something about, in order.
  std::vector<std::string> names(const Conjunction& c) const;
  // The strings that are valid; c is about strings.
  Language strings(const Conjunction& c);
  bool matches(const Conjunction::Pattern& pattern, const std::string& text);

 private:
  struct Open;  // a conjunction in the making
  void expand(Open open, std::vector<Conjunction>& done);
  void apply(Open& open, Schema schema);
  void finish(Conjunction c, const std::vector<std::pair<Schema, Schema>>& one_of, std::vector<Conjunction>& done);
  bool valid(const Json& value, const Conjunction& c);
  bool valid_but_for_values(const Json& value, const Conjunction& c);
  bool keep_apart(Conjunction& c, const Conjunction& other, bool may_forbid);

  SchemaDocument& document_;
  std::map<SchemaSet, std::vector<Conjunction>> known_;
  std::map<std::string, Language> languages_;  // of patterns, searched for
  int nested_ = 0, steps_ = 0;
};

}  // namespace fieldprint
