// Commands of the override as the ledger keeps them (docs/formats/memory.md, "Commands of the override"): their form,
// as far as somebody without the override's own keys can tell.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fieldprint::verify {

struct OverrideCommand {
  std::string_view command;   // "REVOKE"
  std::string_view agent;     // that it is for; empty where it is not for one by name
  std::string_view argument;  // the first, such as the record of REVOKE; empty where there is none
  uint64_t counter = 0;
};

// Nothing where the text of a signed note is no command; `error` says why as a sentence. Views into `note`.
std::optional<OverrideCommand> parse_override(std::string_view note, std::string& error);

}  // namespace fieldprint::verify
