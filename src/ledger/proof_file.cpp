#include "ledger/proof_file.h"

#include <fmt/format.h>

#include <algorithm>

#include "fieldprint/error.h"
#include "ledger/lines.h"
#include "ledger/merkle.h"

namespace fieldprint::ledger {
namespace {

constexpr std::string_view kHeader = "c2sp.org/tlog-proof@v1", kExtra = "extra ", kIndex = "index ";
constexpr size_t kHashesMax = 63;

[[noreturn]] void refuse(std::string what) { throw Error(ErrorKind::kBadInput, std::move(what)); }

}  // namespace

std::string format_proof(const ProofFile& proof) {
  std::string out = fmt::format("{}\n", kHeader);
  if (proof.extra) out += fmt::format("{}{}\n", kExtra, to_base64(*proof.extra));
  out += fmt::format("{}{}\n", kIndex, proof.index);
  for (const Digest& hash : proof.hashes) out += to_base64(hash) + "\n";
  return out + "\n" + proof.checkpoint;
}

ProofFile parse_proof(std::string_view text) {
  Lines lines(text);
  if (lines.next() != kHeader) refuse("a proof has to begin with " + std::string(kHeader));
  ProofFile proof;
  std::string_view line = lines.next();
  if (line.starts_with(kExtra)) {
    proof.extra = from_base64(line.substr(kExtra.size()));
    line = lines.next();
  }
  if (!line.starts_with(kIndex)) refuse("a proof without the line of its index");
  proof.index = parse_decimal(line.substr(kIndex.size()));
  while (!(line = lines.next()).empty()) {
    if (proof.hashes.size() == kHashesMax) refuse("a proof with too many hashes");
    proof.hashes.push_back(digest_from_base64(line));
  }
  proof.checkpoint = lines.left();
  parse_checkpoint(parse_note(proof.checkpoint).text);
  return proof;
}

Checkpoint verify_proof(const ProofFile& proof, const Digest& leaf, const VerifierKey& log,
                        std::span<const VerifierKey> witnesses, size_t quorum) {
  const Note note = parse_note(proof.checkpoint);
  Checkpoint checkpoint = open_checkpoint(note, log);
  std::vector<VerifierKey> known(witnesses.begin(), witnesses.end());
  known.push_back(log);
  const size_t cosigned = verify_note(note, known).size() - 1;  // the log itself is among them
  if (cosigned < quorum)
    refuse(fmt::format("{} of {} witnesses have cosigned, {} have to", cosigned, witnesses.size(), quorum));
  if (!verify_inclusion(leaf, proof.index, checkpoint.size, proof.hashes, checkpoint.root)) {
    refuse(fmt::format("the proof does not lead from this entry to the log's head of size {}", checkpoint.size));
  }
  return checkpoint;
}

}  // namespace fieldprint::ledger
