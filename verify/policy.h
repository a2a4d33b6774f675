// Policies, and the keys of a ledger with their roles (docs/formats/memory.md, "Events").
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cbor.h"
#include "note.h"

namespace fieldprint::verify {

struct Policy {
  uint64_t signatures = 0;           // that an endorsement needs
  uint64_t signatures_external = 0;  // and where a source is EXTERNAL
  uint64_t signatures_root = 0;      // for KEY and POLICY
  uint64_t anchor_tokens = 0;        // of all ACTIVE anchors, at most
};

// `map` has to be a map. Nothing where it does not have exactly the fields 1 to 9, each of a value that it may have.
std::optional<Policy> parse_policy(const cbor::Item& map);

enum class Role : uint8_t { kRoot = 1, kOperator, kApprover, kLog, kWitness };

std::string_view name_of(Role role);  // "root"
std::optional<Role> role_of(std::string_view name);

struct Key {
  Vkey vkey;
  Role role = Role::kRoot;
  bool in_force = false;
};

// All keys that there have been. What is retired does not come back, so a key has one role for ever.
class KeyRing {
 public:
  // Returns why the key cannot be added as a sentence, or an empty string.
  std::string add(std::string_view vkey, Role role, std::string_view origin);
  // The same for taking it out of force.
  std::string retire(std::string_view vkey, Role role);

  const std::vector<Key>& all() const { return keys_; }
  std::vector<Vkey> in_force(Role role) const;

 private:
  std::vector<Key> keys_;
};

}  // namespace fieldprint::verify
