// GBNF, the language of llama.cpp's grammars: rules of quoted texts, classes of characters, other rules, groups and
// repetitions.
#pragma once

#include <string_view>

#include "grammar/program.h"

namespace fieldprint {

// Throws Error kBadInput with line and column, kLimit for what is too large or nested too deeply.
Program parse_gbnf(std::string_view text, std::string_view root);

}  // namespace fieldprint
