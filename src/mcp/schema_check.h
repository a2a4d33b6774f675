// Values checked against the JSON Schemas of a table of tools: the keywords that such tables use, and no others.
#pragma once

#include <string>

#include "mcp/rpc.h"

namespace fieldprint::mcp {

// What is wrong with `value`, as a sentence that names the place ("arguments.limit: should be an integer"); "" where
// nothing is. Known: type, enum, const, properties, required, additionalProperties (false or a schema), items, minimum,
// maximum, minLength, maxLength (in Unicode characters), minItems, maxItems. Other keywords constrain nothing, so that
// a schema which clients read in full may hold them.
std::string schema_fault(const Json& value, const Json& schema, const std::string& where);

}  // namespace fieldprint::mcp
