// The formats of JSON Schema that a grammar can hold a string to, as regular expressions of whole strings.
#pragma once

#include <string_view>

namespace fieldprint {

// Empty where the format is unknown or says nothing that can be held to: it is an annotation then.
std::string_view format_pattern(std::string_view format);

}  // namespace fieldprint
