// The rules of a memory that its root keys set: how many signatures, how much of everything. In the ledger as an event.
#pragma once

#include <cstdint>
#include <span>

#include "ledger/cbor.h"

namespace fieldprint::memory {

struct Policy;

// A rule by its name, and what it may be.
struct PolicyRule {
  const char* name;
  int64_t Policy::*field;
  int64_t least, most;
};

struct Policy {
  int64_t approvals = 1;           // signatures of approvers that an endorsement needs
  int64_t approvals_external = 2;  // and where something EXTERNAL is in it; at least 2
  int64_t root_signatures = 1;     // of root keys, for KEY and POLICY
  int64_t source_a_day = 1000;     // records a day: of one source,
  int64_t principal_a_day = 10000;
  int64_t all_a_day = 100000;
  int64_t payload_bytes = 64 << 10;  // at most
  int64_t anchor_tokens = 128;       // of all anchors at most
  int64_t drift = 1200;              // thousandths of a radian that anchors may part from the first ones, in all
  bool operator==(const Policy&) const = default;

  static std::span<const PolicyRule> rules();  // in the order of their keys in the map, from 1 on

  ledger::Value cbor() const;
  static Policy from_cbor(const ledger::Value& value);  // Error kBadInput
};

}  // namespace fieldprint::memory
