// A single tlog-proof (c2sp.org/tlog-proof): that an event is in a ledger, from the file alone.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "checkpoint.h"

namespace fieldprint::verify {

constexpr size_t kProofBytesMax = 1 << 18;

// Checks the proof in `bytes` against `log`, for the event in `event`, or else for the one in the proof's extra line.
// Reports faults ("proof.form", "proof.event", "proof.inclusion", "event.*", "cbor.canonical", and those of
// read_checkpoint()) and what was checked. `checkpoint` becomes that of the proof; false where it could not be read.
bool check_proof(const std::string& bytes, const std::string& file, const Vkey& log,
                 const std::optional<std::string>& event, Checkpoint& checkpoint, Report& report);

}  // namespace fieldprint::verify
