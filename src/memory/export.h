// The memory as a directory that others can check without us (docs/formats/memory.md, "An exported directory"), and the
// same checks made here on what is on disk.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "memory/memory.h"

namespace fieldprint::memory {

struct Exported {
  int64_t size = 0;  // events
  int64_t records = 0, payloads = 0;
};
// `directory` must not be there or be empty. `payloads`: with the texts of the caller's own records. Error kUsage, kIo.
Exported export_memory(Memory& memory, const MemoryCaller& caller, const std::string& directory, bool payloads);

struct Verified {
  int64_t events = 0, records = 0, payloads = 0, erased = 0, signatures = 0;
  std::vector<std::string> faults;  // at most 100
};
// Reads everything again: events against the signed root, the registry folded anew against the one in force, records
// against their ids, labels against their lineage, payloads against their commitments.
Verified verify_memory(Memory& memory);

}  // namespace fieldprint::memory
