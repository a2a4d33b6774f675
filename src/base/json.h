// JSON that comes from outside: from files, users, models and peers. All of it is read here, so that one limit of depth
// holds for all: a deeper value would overflow the stack of whatever copies, prints or walks over it.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "fieldprint/error.h"

namespace fieldprint {

inline constexpr size_t kMaxJsonDepth = 500;  // lists and objects within each other

struct JsonRules {
  ErrorKind kind = ErrorKind::kBadInput;  // of the Error
  size_t max_bytes = 256 << 20;           // the largest tokenizer.json of 2025 has 33 MB
  bool python = false;                    // NaN, Infinity and -Infinity are numbers, as Python's json has them
  bool unique_names = false;              // equal names in an object are an error; else the last one counts
};

// Time is linear in `text` (n log n for objects of many members). Throws Error with `where` and the line: not valid
// JSON, nested too deeply, too long.
nlohmann::json parse_json(std::string_view text, const std::string& where, const JsonRules& rules = {});

// The same, with the members of objects in the order of the text.
nlohmann::ordered_json parse_ordered_json(std::string_view text, const std::string& where, const JsonRules& rules = {});

}  // namespace fieldprint
