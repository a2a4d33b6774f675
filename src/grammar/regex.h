// Regular expressions, read for the set of texts that they match: ECMAScript's syntax (ECMA-262, 22.2.1) with names of
// groups as Perl writes them, too. What is lazy matches the same texts.
#pragma once

#include <string>
#include <string_view>

#include "grammar/expression.h"

namespace fieldprint {

// Of characters, without anchors: the texts that match as a whole, or, with `anywhere`, those in which something does.
// \d, \w and \s are ASCII's; their opposites leave out all of Unicode's digits, letters and spaces, so that readers
// differ in nothing that is let through. Throws Error kBadInput with `where` and the place, kUnsupported for
// look-around, back-references, \b and what else is no regular language or would change how one is read; kLimit.
Expression parse_regex(std::string_view text, bool anywhere, const std::string& where = "regular expression");

// Lengths in characters of what an expression without rules matches; the largest may be kUnbounded.
struct Lengths {
  uint32_t min, max;
};
Lengths lengths(const Expression& e);

}  // namespace fieldprint
