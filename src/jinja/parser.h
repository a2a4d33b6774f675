// Tokens to a tree.
#pragma once

#include <memory>
#include <string_view>

#include "jinja/ast.h"

namespace fieldprint::jinja {

// Parses and resolves. Throws SyntaxFailure (lexer.h), or Error kLimit where the nesting is too deep.
std::unique_ptr<Program> parse(std::string_view source);

}  // namespace fieldprint::jinja
