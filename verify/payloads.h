// The payloads of an export, where it has them: each held to the commitment of its record.
#pragma once

#include <cstdint>

#include "files.h"
#include "records.h"
#include "registry.h"
#include "report.h"

namespace fieldprint::verify {

struct PayloadCounts {
  bool there = false;     // the export has the file
  uint64_t payloads = 0;  // checked and right
};

// Faults: those of open_file() but not "export.missing", "payloads.form", "payloads.order", "payload.unknown",
// "payload.commitment", "payload.form", "payload.erased".
PayloadCounts check_payloads(const Files& files, const Records& records, const Registry& registry, Report& report);

}  // namespace fieldprint::verify
