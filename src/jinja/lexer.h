// Template source to tokens, with Jinja's whitespace control (trim_blocks, lstrip_blocks, - and + signs).
#pragma once

#include <string_view>
#include <vector>

#include "jinja/ast.h"

namespace fieldprint::jinja {

enum class TokenKind : uint8_t {
  kText,
  kPrintBegin,  // {{
  kPrintEnd,
  kBlockBegin,  // {%
  kBlockEnd,
  kName,
  kString,  // text is what the literal says
  kInteger,
  kFloat,
  kOperator,
  kEnd,
};

struct Token {
  TokenKind kind;
  uint32_t line;
  std::string_view text;
};

// Fails with this, at a line, where the source is no template.
struct SyntaxFailure {
  std::string message;
  uint32_t line;
};

// One newline at the end is dropped, \r\n and \r become \n.
std::string normalise_newlines(std::string_view source);

// Tokens point into program.source and program.heap.
std::vector<Token> tokenize(Program& program);

}  // namespace fieldprint::jinja
