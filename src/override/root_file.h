// The root file: who may command. It is written once and never changed (ROTATE_KEY stands in the journal); nobody may
// have the right to write it.
//
//   fieldprint/override-root/v1
//   agent=NAME
//   operators=1                  how many of them it takes
//   operator=VKEY                one line a key, at least as many as it takes; then the same for the others
//   approvers=2
//   approver=VKEY
//   approver=VKEY
//   roots=2
//   root=VKEY
//   root=VKEY
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/note.h"
#include "override/command.h"

namespace fieldprint::overrides {

struct RoleKeys {
  int needed = 1;
  std::vector<ledger::VerifierKey> keys;
  bool operator==(const RoleKeys&) const = default;
};

struct Root {
  std::string agent;
  std::array<RoleKeys, 3> roles;  // by Role

  const RoleKeys& of(Role role) const { return roles[static_cast<size_t>(role)]; }
  RoleKeys& of(Role role) { return roles[static_cast<size_t>(role)]; }
  // Puts `key` in the place of `old`. Error kBadInput where no role has `old`, or one has `key`.
  void rotate(const std::string& old, const std::string& key);
  bool operator==(const Root&) const = default;
};

// Error kBadInput for fewer keys than it takes, a key that stands twice, keys that share a name, other types than
// Ed25519; parse_root() for what format_root() would not write.
std::string format_root(const Root& root);
Root parse_root(std::string_view text);

// Error kNotFound; kBadFile unless it is well formed, a plain file of root's or this process's user, and without any
// right to write it.
Root read_root(const std::string& path);

}  // namespace fieldprint::overrides
