// Proofs as files (c2sp.org/tlog-proof@v1): an entry's index, its inclusion proof and the checkpoint that it leads to,
// in one text that is verified without the log. Pure functions, for any thread. Refusals are Error kBadInput.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/checkpoint.h"

namespace fieldprint::ledger {

struct ProofFile {
  std::optional<Bytes> extra;  // for the application; nobody has signed it
  int64_t index;
  std::vector<Digest> hashes;  // from the leaf's sibling up
  std::string checkpoint;      // the signed note, verbatim
};

std::string format_proof(const ProofFile& proof);
ProofFile parse_proof(std::string_view text);

// Refuses unless the log's key has signed the checkpoint, at least `quorum` of the witnesses have cosigned it, each of
// the witnesses' signatures that is there is right, and the proof leads from the leaf to its root.
Checkpoint verify_proof(const ProofFile& proof, const Digest& leaf_hash, const VerifierKey& log,
                        std::span<const VerifierKey> witnesses, size_t quorum);

}  // namespace fieldprint::ledger
