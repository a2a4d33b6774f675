// JSON from outside, checked before anybody works with it.
#pragma once

#include <string>
#include <string_view>

namespace fieldprint {

// Throws Error kBadInput, with `where` and the line, for what is not valid JSON or is nested more than 500 levels deep:
// printing or copying a deeper value would overflow the stack.
void check_json(std::string_view text, const std::string& where = {});

}  // namespace fieldprint
