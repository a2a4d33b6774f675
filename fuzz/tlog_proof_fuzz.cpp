// Any bytes as a proof file and as a checkpoint: refused with an Error, or written again as they were; and never a
// proof for a leaf that was in no tree.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "fieldprint/error.h"
#include "ledger/merkle.h"
#include "ledger/proof_file.h"

namespace {

using namespace fieldprint;
using namespace fieldprint::ledger;

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    require(checkpoint_text(parse_checkpoint(text)) == text);
  } catch (const Error&) {
  }
  try {
    const ProofFile proof = parse_proof(text);
    require(format_proof(proof) == text);
    const Checkpoint head = parse_checkpoint(parse_note(proof.checkpoint).text);
    require(!verify_inclusion(leaf_hash(view_of("in no tree")), proof.index, head.size, proof.hashes, head.root));
  } catch (const Error&) {
  }
  return 0;
}
