// What people sign (docs/formats/memory.md, "Statements"): the form of the text. What it has to say is
// verify/replay.h's.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fieldprint::verify {

struct Statement {
  std::vector<std::pair<std::string_view, std::string_view>> fields;  // name, value
  std::string_view at(std::string_view name) const;                   // has to be there
};

// Parses a note's text as the statement "fieldprint/`action`/v1", which has to be one of the format's; views into
// `text`. Where it has another form, nothing, and `error` says why as a sentence.
std::optional<Statement> parse_statement(std::string_view text, std::string_view action, std::string& error);

}  // namespace fieldprint::verify
