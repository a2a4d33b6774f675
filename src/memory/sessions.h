// What each conversation has been shown: the records that what its model writes descends from, and the text that must
// not come back as new. Kept across restarts (spaces.h, kSessions).
//
// Under the memory's lock.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "memory/echo.h"
#include "memory/shelf.h"

namespace fieldprint::memory {

struct SessionContext {
  static constexpr size_t kSeenMost = 1024;  // beyond, `any`: it counts as having seen everything

  std::vector<RecordId> seen;  // sorted, each once
  bool any = false;
  EchoFilter echo;
};

// The row of kSessions.
ledger::Bytes session_key(const std::string& principal, const std::string& session);
ledger::Bytes encode_seen(const SessionContext& context);
void decode_seen(ledger::ByteView bytes, SessionContext& context);  // Error kBadInput

// Adds; returns whether any was new.
bool add_seen(SessionContext& context, const std::vector<RecordId>& ids);

}  // namespace fieldprint::memory
