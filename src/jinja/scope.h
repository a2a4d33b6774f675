// Names to slots, by Jinja's rules: if bodies share their scope; loops, macros, with, call, filter and set blocks have
// their own, into which an outer variable is copied on entry where the block assigns it.
#pragma once

#include "jinja/ast.h"

namespace fieldprint::jinja {

// Fills in every Ref, entry and slot of the program. Throws SyntaxFailure for a filter or test that does not exist,
// except below an `if`, where it may never be reached.
void resolve_names(Program& program);

}  // namespace fieldprint::jinja
