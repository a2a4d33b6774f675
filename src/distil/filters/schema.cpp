// Answers that have to be JSON of a schema.
#include "base/sha256.h"
#include "distil/filter.h"
#include "distil/json_schema.h"
#include "fieldprint/error.h"

namespace fieldprint::distil {

Setting filter_schema(FilterRun& run) {
  const std::string& schema = run.options.schema;
  if (schema.empty()) return std::nullopt;
  const JsonSchema checked(schema);
  run.each([&](const FilterRow& r) -> std::optional<Reason> {
    try {
      if (checked.valid(r.row.content)) return std::nullopt;
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::kBadInput) return Reason{"no JSON", beginning(error.what(), 200)};
      if (error.kind() == ErrorKind::kLimit) return Reason{"too much work to check", {}};
      throw;
    }
    return Reason{"not valid", {}};
  });
  return "SHA-256 " + sha256_hex(std::as_bytes(std::span(schema)));
}

}  // namespace fieldprint::distil
