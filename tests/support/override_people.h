// An override in a folder of the test's own, and the people who may command it.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "fieldprint/override.h"
#include "ledger/note.h"
#include "override/command.h"
#include "override/state.h"
#include "support/temp_home.h"

namespace fieldprint {

class OverridePeople {
 public:
  static constexpr int64_t kNow = 1'796'000'000;

  OverridePeople() {
    for (const char* name : {"op1", "op2", "ap1", "ap2", "ap3", "root1", "root2", "new", "stranger"})
      keys_.emplace(name, ledger::SignerKey::generate(name, ledger::KeyType::kEd25519));
  }

  const ledger::SignerKey& key(const std::string& name) const { return keys_.at(name); }
  std::string vkey(const std::string& name) const { return key(name).verifier().vkey(); }
  OverrideKeys setup() const {
    return {.agent = "tester",
            .operators = {vkey("op1"), vkey("op2")},
            .approvers = {vkey("ap1"), vkey("ap2"), vkey("ap3")},
            .roots = {vkey("root1"), vkey("root2")}};
  }

  // What would be accepted after `state`, from `now` on.
  overrides::Command next(const overrides::State& state, overrides::Kind kind, int64_t now = kNow) const {
    overrides::Command command;
    command.kind = kind;
    command.counter = state.counter + 1;
    command.prev = state.prev;
    command.not_before = now - 10;
    command.not_after = now + 600;
    command.nonce[0] = std::byte(state.counter & 255);
    if (kind == overrides::Kind::kRevoke) command.arguments = {{"record", std::string(64, 'a')}};
    if (kind == overrides::Kind::kSuspendSource) command.arguments = {{"source", std::string(32, 'b')}};
    if (kind == overrides::Kind::kRotateKey) command.arguments = {{"old", vkey("op2")}, {"key", vkey("new")}};
    return command;
  }

  std::string sign(const std::string& text, const std::vector<std::string>& names) const {
    ledger::Note note{text, {}};
    for (const std::string& name : names) note.signatures.push_back(key(name).sign(text));
    return ledger::format_note(note);
  }
  std::string sign(const overrides::Command& command, const std::vector<std::string>& names) const {
    return sign(overrides::format_command(command), names);
  }
  // By as many as it takes.
  std::string sign(const overrides::Command& command) const {
    switch (overrides::command_kind(command.kind).role) {
      case overrides::Role::kOperator:
        return sign(command, {"op1"});
      case overrides::Role::kApprover:
        return sign(command, {"ap1", "ap3"});
      default:
        return sign(command, {"root1", "root2"});
    }
  }

 private:
  std::map<std::string, ledger::SignerKey> keys_;
};

// The directory of an override that was just made.
class OverrideFolder {
 public:
  explicit OverrideFolder(const OverridePeople& people) { make_override(path(), people.setup()); }
  std::string path() const { return (home_.path() / "override").string(); }

 private:
  TempHome home_;
};

}  // namespace fieldprint
