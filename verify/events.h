// Events, the leaves of a ledger (docs/formats/memory.md): taken apart and held to the fields of their kind, each of
// its type. What the fields mean together with the rest of the ledger is verify/replay.h's.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cbor.h"
#include "hash.h"

namespace fieldprint::verify {

enum class EventKind : uint8_t {
  kGenesis = 1,
  kKey,
  kPolicy,
  kAdmit,
  kQuarantine,
  kPropose,
  kEndorse,
  kCompile,
  kActivate,
  kSuspend,
  kRelease,
  kSupersede,
  kRevoke,
  kExpire,
  kErase,
  kReceipt,
  kCommit,
  kRollback,
  kAlarm,
  kOverride,
  kState
};

std::string_view name_of(EventKind kind);  // "GENESIS"

// Fields by their numbers in the format.
enum Field : unsigned {
  kVersion = 1,
  kKindField = 2,
  kTime = 3,
  kActor = 4,
  kNote = 10,
  kOrigin = 10,
  kAgent = 11,
  kKeys = 12,
  kPolicyField = 13,
  kInstance = 15,
  kAbandoned = 16,
  kRecord = 20,
  kRecordKind = 21,
  kIntegrity = 22,
  kValidUntil = 23,
  kCause = 24,
  kOther = 25,
  kPages = 26,
  kModel = 27,
  kLayout = 28,
  kTokens = 29,
  kAnchorSet = 30,
  kCommand = 31,
  kQuery = 32,
  kEncoder = 33,
  kIds = 34,
  kScores = 35,
  kSession = 36,
  kPrincipal = 37,
  kBoundary = 38,
  kTokenIds = 39,
  kSources = 40,
  kHidden = 41,
  kChain = 42,
  kFrom = 43,
  kTo = 44,
  kCommitCause = 45,
  kPagesDropped = 46,
  kDetail = 47,
  kRoot = 48,
  kRows = 49,
  kFieldEnd
};

// One event, as views into the leaf: valid as long as that and until the next parse() with the same object.
class Event {
 public:
  // Returns the rule that is broken ("cbor.canonical", "event.fields") or an empty string; `error` says why.
  std::string_view parse(std::string_view leaf, std::string& error);

  EventKind kind() const { return kind_; }
  uint64_t time() const { return number(kTime); }
  bool has(Field field) const { return fields_[field] != nullptr; }
  // The field has to be there and of the type.
  uint64_t number(Field field) const { return fields_[field]->number; }
  std::string_view text(Field field) const { return fields_[field]->text; }
  Hash hash(Field field) const { return to_hash(fields_[field]->text); }
  const cbor::Item& item(Field field) const { return *fields_[field]; }

 private:
  std::vector<cbor::Item> items_;
  std::array<const cbor::Item*, kFieldEnd> fields_ = {};
  EventKind kind_ = EventKind::kGenesis;
};

}  // namespace fieldprint::verify
