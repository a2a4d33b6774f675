// What the override's journal comes to: a pure fold over its entries. The first entry names the journal; the others are
// commands as they were accepted, and what happened to those that had to wait.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "override/command.h"
#include "override/root_file.h"

namespace fieldprint::overrides {

enum class EntryKind : uint8_t {
  kBegin = 1,    // text: "fieldprint/override-journal/v1\nagent=NAME\nid=<32 hex digits>\n"
  kCommand = 2,  // a signed note
  kLogged = 3,   // the counter of a command that the ledger has now
  kClosed = 4,   // "EPOCH COUNTER": the files were older than what had been in force then; everything is closed
};

struct Entry {
  EntryKind kind = EntryKind::kCommand;
  int64_t time = 0;  // seconds since 1970
  std::string text;
  bool operator==(const Entry&) const = default;
};

// How far numbers may be ahead of the journal's where it was put back: what is farther ahead was made up, and nothing
// would be above it.
inline constexpr uint64_t kLeapMax = 1 << 24;
inline constexpr uint64_t kEpochMax = (uint64_t{1} << 32) - 1;

struct State {
  explicit State(Root keys) : root(std::move(keys)) {}

  Root root;                            // with the keys as they were rotated
  uint64_t epoch = 0;                   // grows with each entry
  uint64_t counter = 0;                 // of the last command
  ledger::Digest prev = {};             // what the next command has to name
  uint8_t flags = 0;                    // kHalted ...
  std::set<std::string> sources;        // suspended, in hex
  std::map<uint64_t, Command> waiting;  // by counter: accepted, not yet in the ledger

  // Error kBadFile or kBadInput for what check(), check_logged() and the process can not have let through: signatures
  // are checked again. The state is then of no use.
  void apply(const Entry& entry);

  // Whether a signed note is a command that may be accepted now, and which. `instance`: of this process. Error
  // kBadInput with the reason.
  Command check(std::string_view note, std::string_view instance, int64_t now) const;
  // Whether the command with this counter may come into force, now that the ledger has it. Error kBadInput.
  void check_logged(uint64_t counter, int64_t now) const;

 private:
  Command signed_command(std::string_view note) const;  // by as many keys as it takes
  void enforce(const Command& command);
};

Entry begin_entry(const std::string& agent, std::string_view id, int64_t time);

}  // namespace fieldprint::overrides
