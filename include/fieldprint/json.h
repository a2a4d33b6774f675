// JSON: what comes from outside is checked before anybody works with it, and what goes out is quoted in one way.
#pragma once

#include <string>
#include <string_view>

namespace fieldprint {

// Throws Error kBadInput, with `where` and the line, for what is not valid JSON or is nested more than 500 levels deep:
// printing or copying a deeper value would overflow the stack.
void check_json(std::string_view text, const std::string& where = {});

// `value` as a JSON string, in quotes; bytes that are not UTF-8 become U+FFFD. `ascii`: other characters as \uXXXX, for
// one line of many, since some readers of lines take U+2028 for the end of one.
std::string json_string(std::string_view value, bool ascii = false);

}  // namespace fieldprint
