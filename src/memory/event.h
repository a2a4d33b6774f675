// An event: a leaf of the ledger, as docs/formats/memory.md writes it. Pure values, for any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "memory/record.h"

namespace fieldprint::memory {

enum class EventKind {
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
inline constexpr int kEventKinds = 21;
std::string_view event_name(EventKind kind);  // "ADMIT"

// Keys of fields, by what they hold. Which event has which stands in events.def.
enum class Field {
  kNote = 10,  // GENESIS has the origin here: see kOrigin
  kOrigin = 10,
  kAgent = 11,
  kKeys = 12,
  kPolicy = 13,
  kInstance = 15,
  kAbandoned = 16,
  kId = 20,
  kRecordKind = 21,
  kIntegrity = 22,
  kValidUntil = 23,
  kCause = 24,
  kSuccessor = 25,  // the anchor of ENDORSE
  kKvDigest = 26,
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
  kPages = 42,
  kFrom = 43,
  kTo = 44,
  kBoundaryCause = 45,
  kDropped = 46,
  kDetail = 47,
  kRoot = 48,
  kRows = 49,
};

inline constexpr size_t kEventBytesMax = 65535;  // mostly far below 1 KiB

struct Event {
  EventKind kind = EventKind::kAdmit;
  int64_t time = 0;  // milliseconds since 1970
  std::string actor;
  ledger::Map fields;  // those of its kind, by Field

  Event() = default;
  Event(EventKind k, int64_t t, std::string a) : kind(k), time(t), actor(std::move(a)) {}
  Event& set(Field field, ledger::Value value) {
    fields.set(static_cast<int64_t>(field), std::move(value));
    return *this;
  }
  const ledger::Value* find(Field field) const { return fields.find(static_cast<int64_t>(field)); }
  const ledger::Value& at(Field field) const { return fields.at(static_cast<int64_t>(field)); }
  RecordId id(Field field = Field::kId) const { return ledger::digest_of(at(field).bytes()); }
};

// Error kLimit for more than kEventBytesMax; an event that has another set of fields than its kind is our own fault.
ledger::Bytes encode_event(const Event& event);
Event decode_event(ledger::ByteView leaf);  // Error kBadInput

}  // namespace fieldprint::memory
