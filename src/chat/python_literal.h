// Calls as Python writes them, `[name(key="value", other=[1, None])]`, their values literals: what ast.literal_eval
// makes of each, as json.dumps would write it. What has no exact JSON (bytes, sets, complex numbers, infinity, half a
// surrogate pair) or is no literal at all is refused, so that no value is ever another one.
//
// Not read, though Python reads it: \N{...}, whose names nobody here knows; nesting deeper than 100; integers of more
// than 4,300 digits, Python's own limit; a name that Python would normalise to another spelling (NFKC). Read, though
// Python does not: JSON's true, false and null, names with '-' in them, Python's keywords as names of arguments.
//
// https://docs.python.org/3/reference/lexical_analysis.html
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "fieldprint/chat_template.h"

namespace fieldprint {

// Why a text is not a list of calls, and where: "character 12: a set has no JSON".
struct PythonRefusal : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Time is linear in `text`, but for the digits of integers. Throws PythonRefusal.
std::vector<ToolCall> parse_python_calls(std::string_view text);

}  // namespace fieldprint
