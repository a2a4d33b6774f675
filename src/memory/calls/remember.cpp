// Calls that bring records: add, propose; and erase, which takes the text of one away.
#include "memory/params.h"

namespace fieldprint::memory {

namespace {

Json admitted_json(const Admitted& admitted) {
  Json json{{"id", hex(admitted.id)},
            {"kind", kind_name(admitted.row.kind)},
            {"status", status_name(admitted.row.status)},
            {"label", label_json(admitted.label)},
            {"duplicate", admitted.duplicate},
            {"index", admitted.row.brought}};
  if (!admitted.rule.empty()) json["rule"] = admitted.rule;
  return json;
}

Offer offer_of(const Memory& memory, const MemoryCaller& caller, const Params& params) {
  Offer offer;
  offer.text = params.text("text");
  offer.uri = params.text("uri", "");
  offer.title = params.text("title", "");
  offer.valid_until = params.valid_until();
  for (const std::string& id : params.texts("seen")) {
    offer.seen.push_back(memory.find(id));
    own_record(memory, caller, offer.seen.back());
  }
  return offer;
}

}  // namespace

Json call_add(Memory& memory, const MemoryCaller& caller, const Params& params) {
  Offer offer = offer_of(memory, caller, params);
  offer.channel = params.text("channel");
  offer.confidence = params.number("confidence", 100, 0, 100);
  params.done();
  return admitted_json(memory.admit(caller, offer));
}

Json call_propose(Memory& memory, const MemoryCaller& caller, const Params& params) {
  if (params.has("id")) {
    const RecordId id = params.id(memory);
    const auto valid_until = params.valid_until();
    std::optional<RecordId> supersedes;
    if (params.has("supersedes")) supersedes = params.id(memory, "supersedes");
    params.done();
    return admitted_json(memory.propose(caller, id, valid_until, supersedes));
  }
  Offer offer = offer_of(memory, caller, params);
  if (params.has("supersedes")) offer.supersedes = params.id(memory, "supersedes");
  offer.channel = params.text("channel", caller.adapter.starts_with("mcp") ? "model" : "user");
  params.done();
  return admitted_json(memory.propose(caller, offer));
}

Json call_erase(Memory& memory, const MemoryCaller& caller, const Params& params) {
  const RecordId id = params.id(memory);
  params.done();
  Json all = Json::array();
  for (const RecordId& one : memory.erase(caller, id)) all.push_back(hex(one));
  return {{"id", hex(id)}, {"status", status_name(memory.row(id).status)}, {"erased", true}, {"all", std::move(all)}};
}

}  // namespace fieldprint::memory
