// A text on its way through the gate (admit.cpp): what can be made of it before the lock is taken.
#pragma once

#include "memory/memory.h"

namespace fieldprint::memory {

struct Memory::Prepared {
  const Channel* channel = nullptr;
  Payload payload;
  ledger::Bytes encoded;
  Salt salt = {};
  Codes codes;
  SourceId source = {};
  std::optional<std::string> rule;  // of a detector
  std::vector<RecordId> seen;
  std::optional<int64_t> valid_until;
  std::optional<RecordId> supersedes;
  int64_t confidence = 100;
};

}  // namespace fieldprint::memory
