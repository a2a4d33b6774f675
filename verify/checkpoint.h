// Checkpoints (c2sp.org/tlog-checkpoint): the size and root of a ledger, signed by its log and cosigned by witnesses.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hash.h"
#include "note.h"
#include "report.h"

namespace fieldprint::verify {

constexpr size_t kCheckpointBytesMax = 1 << 16;

struct Checkpoint {
  std::string bytes;  // the note, which `note` looks into
  Note note;
  std::string origin;
  uint64_t size = 0;
  Hash root = {};

  Checkpoint() = default;
  Checkpoint(const Checkpoint&) = delete;  // `note` would look into the other's bytes
  Checkpoint& operator=(const Checkpoint&) = delete;
};

// Parses and checks the log's signature. Faults ("note.form", "checkpoint.form", "checkpoint.signature",
// "checkpoint.origin") are reported at `file`; false where it cannot be used at all.
bool read_checkpoint(std::string bytes, const Vkey& log, const std::string& file, Checkpoint& out, Report& report);

// Counts witnesses whose cosignature is there and right. A wrong one is a fault ("checkpoint.signature").
size_t count_cosignatures(const Checkpoint& checkpoint, const std::vector<Vkey>& witnesses, const std::string& file,
                          Report& report);

}  // namespace fieldprint::verify
