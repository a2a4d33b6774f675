// JSON Schema (drafts 4 to 2020-12) as a grammar of the JSON texts that are valid under it.
#pragma once

#include <string_view>

#include "grammar/program.h"

namespace fieldprint {

struct JsonGrammarOptions {
  bool compact = false;
  bool additional_properties = true;
};

// Throws Error kBadInput for what is no JSON or no schema; kUnsupported names the keyword and its place; kLimit.
Program parse_json_schema(std::string_view schema, const JsonGrammarOptions& options);

// Any JSON object.
Program json_object_program(const JsonGrammarOptions& options);

}  // namespace fieldprint
