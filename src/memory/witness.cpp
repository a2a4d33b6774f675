// include/fieldprint/memory_witness.h, on the ledger's witness.
#include "ledger/witness.h"

#include <filesystem>

#include "fieldprint/error.h"
#include "fieldprint/memory_witness.h"
#include "ledger/files.h"
#include "ledger/tiles.h"
#include "memory/setup.h"

namespace fieldprint {

namespace {

ledger::Witness open_witness(const MemoryWitnessOptions& options) {
  if (options.logs.empty()) throw Error(ErrorKind::kUsage, "a witness has to know the logs that it cosigns");
  std::vector<ledger::VerifierKey> logs;
  for (const std::string& log : options.logs) logs.push_back(ledger::VerifierKey::parse(log));
  return {ledger::SignerKey::parse(memory::read_secret(options.key)), options.state, std::move(logs)};
}

}  // namespace

void serve_memory_witness(const MemoryWitnessOptions& options, const std::string& socket,
                          const std::function<bool()>& stop) {
  ledger::Witness witness = open_witness(options);
  ledger::serve_witness(witness, socket, stop);
}

std::string cosign_memory(const MemoryWitnessOptions& options, const std::string& directory) {
  const std::filesystem::path folder(directory);
  const auto bytes = ledger::read_file(folder / "checkpoint");
  if (!bytes) throw Error(ErrorKind::kNotFound, "there is no checkpoint here", directory);
  ledger::Note note = ledger::parse_note(ledger::text_of(*bytes));
  const int64_t size = ledger::parse_checkpoint(note.text).size;
  ledger::Witness witness = open_witness(options);
  const auto ask = [&](int64_t old_size) {
    ledger::TileReader tiles(folder, size);
    const auto proof = ledger::consistency_proof(old_size, size, std::ref(tiles));
    return witness.add_checkpoint(ledger::witness_request(old_size, proof, ledger::text_of(*bytes)));
  };
  ledger::WitnessAnswer answer = ask(0);
  if (answer.status == 409) {  // it has seen one, of that size
    const int64_t seen = ledger::parse_decimal(std::string_view(answer.body).substr(0, answer.body.find('\n')));
    if (seen > size) {
      throw Error(ErrorKind::kBadFile,
                  "the witness has cosigned size " + std::to_string(seen) + ", this is an older head of " +
                      std::to_string(size),
                  directory);
    }
    answer = ask(seen);
  }
  if (answer.status != 200) {
    throw Error(ErrorKind::kBadFile, "the witness does not cosign: " + answer.body.substr(0, answer.body.find('\n')),
                directory);
  }
  for (ledger::NoteSignature& signature : ledger::parse_signatures(answer.body)) {
    std::erase_if(note.signatures, [&](const ledger::NoteSignature& one) { return witness.key().made(one); });
    note.signatures.push_back(std::move(signature));
  }
  return ledger::format_note(note);
}

}  // namespace fieldprint
