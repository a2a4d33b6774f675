// The whole check, of an exported directory or of a single proof.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "files.h"
#include "note.h"
#include "report.h"

namespace fieldprint::verify {

// A file that the user gave, with the name it is called by.
struct Given {
  std::string name;
  std::string bytes;
};

struct Options {
  std::optional<Vkey> log = {};      // the key that is trusted; otherwise the export's own
  std::vector<Vkey> witnesses = {};  // those that are trusted; otherwise the ledger's own
  // How many have to have cosigned; otherwise all of `witnesses`, or one of the ledger's own.
  std::optional<size_t> witnesses_min = {};
  std::optional<Given> older = {};  // a checkpoint that the user kept
  std::optional<Given> proof = {};
  std::optional<std::string> event = {};  // the leaf that the proof is of
  size_t faults_max = 100;
};

// `files` is the export; null where only a proof is checked, and then `log` has to be there. Never throws for what they
// contain.
Report check(const Files* files, const Options& options);

}  // namespace fieldprint::verify
