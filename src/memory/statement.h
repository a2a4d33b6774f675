// What people sign: a text that says what is to be done to which record of which ledger, as a signed note
// (docs/formats/memory.md, "Statements"). Pure functions, for any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ledger/note.h"
#include "memory/record.h"

namespace fieldprint::memory {

struct Statement {
  std::string action;                                       // "endorse"
  std::vector<std::pair<std::string, std::string>> fields;  // those of the action, in their order

  const std::string& at(std::string_view name) const;  // Error kBadInput where it is missing
  int64_t number(std::string_view name) const;         // Error kBadInput unless it is 0 or more, without leading zeros
  Digest digest(std::string_view name) const;          // Error kBadInput unless it is 64 hex digits
};

// Error kUsage for an action that there is not, kBadInput for fields other than its own or values of several lines.
std::string statement_text(const Statement& statement);
// Strict: what statement_text() would not write is Error kBadInput.
Statement parse_statement(std::string_view text);

}  // namespace fieldprint::memory
