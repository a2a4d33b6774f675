// A witness of memories: it cosigns a memory's checkpoint once it has seen that the ledger has only grown since the
// last one that it cosigned (c2sp.org/tlog-witness). It is to run apart from the memory, with a key of
// make_witness_key() and a file of its own, so that a memory that is put back to an older state finds nobody who
// cosigns.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace fieldprint {

struct MemoryWitnessOptions {
  std::string key;                // file of its key
  std::string state;              // file of what it has seen: made where there is none, one for each witness
  std::vector<std::string> logs;  // vkeys of the logs that it cosigns, as `fieldprint memory status` shows them
};

// Answers on a Unix socket until stop() says true, which is asked about four times a second. Throws Error kUsage,
// kNotFound, kBadFile (the state, the key), kIo (the socket; another process has the state).
void serve_memory_witness(const MemoryWitnessOptions& options, const std::string& socket,
                          const std::function<bool()>& stop);

// Cosigns the checkpoint of an exported directory, or of a memory's `ledger`, once: the checkpoint with its signatures
// and this one. Throws as serve_memory_witness(); kBadFile where the log has not only grown, or its tiles do not show
// it.
std::string cosign_memory(const MemoryWitnessOptions& options, const std::string& directory);

}  // namespace fieldprint
