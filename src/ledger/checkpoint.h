// Checkpoints (c2sp.org/tlog-checkpoint@v1): the head of a log as a note of three lines, signed by the log's key and
// cosigned by witnesses (c2sp.org/tlog-cosignature). Extension lines are refused, since nobody could audit them.
// Pure functions, for any thread. Refusals are Error kBadInput.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "ledger/hash.h"
#include "ledger/note.h"

namespace fieldprint::ledger {

struct Checkpoint {
  std::string origin;  // names the log: not empty, one line; the name of its key too
  int64_t size;
  Digest root;
  bool operator==(const Checkpoint&) const = default;
};

std::string checkpoint_text(const Checkpoint& checkpoint);
Checkpoint parse_checkpoint(std::string_view text);

// The checkpoint of a note that `log` has signed, whose name has to be its origin.
Checkpoint open_checkpoint(const Note& note, const VerifierKey& log);

// "0", or digits without a zero before them, up to 2^63 - 1: how sizes and indexes stand in all of C2SP's formats.
int64_t parse_decimal(std::string_view text);

}  // namespace fieldprint::ledger
