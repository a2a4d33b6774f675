// JSON in and out, as Python's json module has it.
#pragma once

#include <string>
#include <string_view>

#include "jinja/value.h"

namespace fieldprint::jinja {

// Member order kept, of equal names the last value; integers beyond int64 keep their digits. All strings are content.
// Throws Failure with what is wrong and where.
Value parse_json(Heap& heap, std::string_view text);

struct JsonStyle {
  bool ensure_ascii = false;
  bool sort_keys = false;
  bool indented = false;
  std::string indent;  // of one level
  std::string item_separator = ", ", key_separator = ": ";
};
Value dump_json(Heap& heap, Value value, const JsonStyle& style);
std::string dump_compact_json(Heap& heap, Value value);  // without spaces

}  // namespace fieldprint::jinja
