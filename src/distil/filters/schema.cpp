// Answers that have to be JSON of a schema.
#include <fmt/format.h>

#include "base/json.h"
#include "base/sha256.h"
#include "distil/filter.h"
#include "fieldprint/error.h"
#include "fieldprint/grammar.h"

namespace fieldprint::distil {
namespace {

using Json = nlohmann::ordered_json;

// The grammar of a schema has properties in the schema's order; an answer may have them in any. So each object is put
// into the order of that `properties` of the schema which has most of its names, the first of these.
using Orders = std::vector<std::vector<std::string>>;

void collect(const Json& schema, Orders& orders) {
  if (schema.is_object()) {
    const auto found = schema.find("properties");
    if (found != schema.end() && found->is_object()) {
      orders.emplace_back();
      for (const auto& [name, value] : found->items()) orders.back().push_back(name);
    }
  }
  if (schema.is_structured())
    for (const auto& part : schema) collect(part, orders);
}

Json in_order(const Json& value, const Orders& orders) {
  if (value.is_array()) {
    Json list = Json::array();
    for (const auto& part : value) list.push_back(in_order(part, orders));
    return list;
  }
  if (!value.is_object()) return value;
  const std::vector<std::string>* best = nullptr;
  size_t most = 0;
  for (const auto& order : orders) {
    size_t shared = 0;
    for (const std::string& name : order) shared += value.contains(name);
    if (shared > most) best = &order, most = shared;
  }
  Json sorted = Json::object();
  if (best != nullptr)
    for (const std::string& name : *best)
      if (value.contains(name)) sorted[name] = in_order(value[name], orders);
  for (const auto& [name, part] : value.items())
    if (!sorted.contains(name)) sorted[name] = in_order(part, orders);
  return sorted;
}

}  // namespace

Setting filter_schema(FilterRun& run) {
  const std::string& schema = run.options.schema;
  if (schema.empty()) return std::nullopt;
  JsonSchemaOptions compact;
  compact.compact = true;
  const GrammarPtr grammar = Grammar::from_json_schema(schema, compact);
  Orders orders;
  collect(parse_ordered_json(schema, "schema"), orders);
  run.each([&](const FilterRow& r) -> std::optional<Reason> {
    Json value;
    JsonRules rules;
    rules.unique_names = true;  // of two equal names no two readers take the same
    try {
      value = parse_ordered_json(r.row.content, "answer", rules);
    } catch (const Error& error) {
      return Reason{"no JSON", beginning(error.what(), 200)};
    }
    try {
      if (grammar->matches(in_order(value, orders).dump())) return std::nullopt;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kLimit) throw;
      return Reason{"too much work to check", {}};
    }
    return Reason{"not valid", {}};
  });
  return "SHA-256 " + sha256_hex(std::as_bytes(std::span(schema)));
}

}  // namespace fieldprint::distil
