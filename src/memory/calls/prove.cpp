// Calls that prove: proof, checkpoint, verify, export.
#include "fieldprint/error.h"
#include "ledger/proof_file.h"
#include "memory/export.h"
#include "memory/params.h"

namespace fieldprint::memory {

Json call_proof(Memory& memory, const MemoryCaller& caller, const Params& params) {
  int64_t index = 0;
  if (const auto given = params.number("index", 0, INT64_MAX)) {
    index = *given;
  } else {
    const RecordId id = params.id(memory);
    own_record(memory, caller, id);
    index = memory.row(id).brought;
  }
  params.done();
  if (index >= memory.ledger().durable_size())
    throw Error(ErrorKind::kNotFound, "there is no event " + std::to_string(index));
  memory.ledger().wait_signed(index + 1);
  // With the event itself, so that the file is all that it takes to check it.
  ledger::ProofFile proof = ledger::parse_proof(memory.ledger().proof(index));
  proof.extra = memory.ledger().leaf(index);
  return {{"index", index}, {"text", ledger::format_proof(proof)}};
}

Json call_checkpoint(Memory& memory, const MemoryCaller&, const Params& params) {
  params.done();
  memory.ledger().wait_signed(memory.ledger().durable_size());
  return {{"text", memory.ledger().checkpoint()}, {"size", memory.ledger().signed_size()}};
}

Json call_verify(Memory& memory, const MemoryCaller&, const Params& params) {
  params.done();
  const Verified verified = verify_memory(memory);
  Json faults = Json::array();
  for (const std::string& fault : verified.faults) faults.push_back(fault);
  return {{"events", verified.events}, {"records", verified.records},       {"payloads", verified.payloads},
          {"erased", verified.erased}, {"signatures", verified.signatures}, {"faults", std::move(faults)}};
}

Json call_export(Memory& memory, const MemoryCaller& caller, const Params& params) {
  const std::string directory = params.text("directory");
  const bool payloads = params.flag("payloads");
  params.done();
  const Exported exported = export_memory(memory, caller, directory, payloads);
  return {{"directory", directory},
          {"size", exported.size},
          {"records", exported.records},
          {"payloads", exported.payloads}};
}

}  // namespace fieldprint::memory
