// Where a record comes from, and how far it is to be trusted: stamped by the platform, never by a model. Labels form a
// lattice; what is derived from several records gets their join, which is never above any of them.
// Pure values, for any thread.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/cbor.h"
#include "ledger/hash.h"

namespace fieldprint::memory {

using ledger::Digest;

enum class Integrity { kHostile, kExternal, kUser, kWitnessed, kEndorsed, kPolicy };
std::string_view integrity_name(Integrity integrity);  // "EXTERNAL"

using SourceId = std::array<std::byte, 16>;
// The first half of digest("source", CBOR [adapter, principal, uri]).
SourceId source_id(std::string_view adapter, std::string_view principal, std::string_view uri);

// The sources that a record owes anything to. Above kMost it is "any source": a set that holds all.
class Sources {
 public:
  static constexpr size_t kMost = 64;

  Sources() = default;
  explicit Sources(std::vector<SourceId> ids);  // sorted here, each kept once
  static Sources any();

  bool is_any() const { return any_; }
  const std::vector<SourceId>& ids() const { return ids_; }  // sorted; none where is_any()
  bool holds(const SourceId& id) const;
  bool holds_all(const Sources& others) const;
  Sources joined(const Sources& other) const;
  bool operator==(const Sources&) const = default;

  ledger::Value cbor() const;
  static Sources from_cbor(const ledger::Value& value);  // Error kBadInput

 private:
  bool any_ = false;
  std::vector<SourceId> ids_;
};

struct Label {
  Integrity integrity = Integrity::kHostile;
  Sources sources;
  std::optional<std::set<std::string>> readers = {};  // absent: everybody of the scope
  bool operator==(const Label&) const = default;
};

// The least of both in integrity, the sources of both, the readers that both allow. Associative, commutative,
// idempotent. The scope (principal) is not part of it: records of different principals never meet (gateway.h).
Label join(const Label& a, const Label& b);

// Whether `child` claims no more than `parent` gives: the label rule of docs/formats/memory.md.
bool at_most(const Label& child, const Label& parent);

}  // namespace fieldprint::memory
