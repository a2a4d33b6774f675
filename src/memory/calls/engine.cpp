// Calls of the engine: anchors to be pinned, what has fallen, commits of a run.
#include "fieldprint/error.h"
#include "memory/params.h"

namespace fieldprint::memory {

namespace {

Digest digest(const Params& params, const char* name) { return ledger::digest_of(ledger::from_hex(params.text(name))); }

std::vector<RecordId> ids(const Memory& memory, const Params& params, const char* name) {
  std::vector<RecordId> all;
  for (const std::string& id : params.texts(name)) all.push_back(memory.find(id));
  return all;
}

}  // namespace

Json call_anchors(Memory& memory, const MemoryCaller& caller, const Params& params) {
  params.done();
  Json items = Json::array();
  for (const Recalled& anchor : memory.anchors(caller)) {
    const auto why = memory.cannot_pin(anchor.id);
    Json json{{"id", hex(anchor.id)},
              {"text", anchor.payload.text},
              {"status", status_name(anchor.row.status)},
              {"label", label_json(anchor.record.label)},
              {"can_pin", !why}};
    if (why) json["cannot_pin"] = *why;
    items.push_back(std::move(json));
  }
  return {{"items", std::move(items)}};
}

Json call_watch(Memory& memory, const MemoryCaller&, const Params& params) {
  const int64_t after = params.number("after", -1, -1, INT64_MAX);
  const auto wait = static_cast<int>(params.number("wait_ms", 0, 0, 60000));
  params.done();
  const Memory::Lowered lowered = memory.lowered(after, wait);
  Json all = Json::array();
  for (const RecordId& id : lowered.ids) all.push_back(hex(id));
  return {{"ids", std::move(all)}, {"next", lowered.next}};
}

Json call_commit(Memory& memory, const MemoryCaller& caller, const Params& params) {
  Commit commit;
  commit.session = caller.session;
  commit.principal = caller.principal;
  commit.boundary = params.number("boundary", 0, 0, INT64_MAX);
  commit.cause = params.text("cause");
  commit.from = params.number("from", 0, 0, INT64_MAX);
  commit.to = params.number("to", 0, commit.from, INT64_MAX);
  commit.token_ids = digest(params, "token_ids");
  commit.hidden = digest(params, "hidden");
  commit.pages = digest(params, "pages");
  commit.model = digest(params, "model");
  commit.anchors = ids(memory, params, "anchors");
  commit.seen = ids(memory, params, "seen");
  if (params.flag("external")) commit.integrity = Integrity::kExternal;
  commit.replay = ledger::from_base64(params.text("replay", ""));
  params.done();
  return {{"index", memory.commit(commit)}};
}

Json call_compiled(Memory& memory, const MemoryCaller&, const Params& params) {
  const RecordId id = params.id(memory);
  const Digest kv = digest(params, "kv_digest"), model = digest(params, "model");
  const std::string layout = params.text("layout");
  const int64_t tokens = params.number("tokens", 0, 0, 1 << 20);
  params.done();
  memory.compiled(id, kv, model, layout, tokens);
  return {{"id", hex(id)}, {"status", status_name(memory.row(id).status)}};
}

Json call_activated(Memory& memory, const MemoryCaller&, const Params& params) {
  const auto all = ids(memory, params, "ids");
  params.done();
  memory.activated(all);
  return {{"anchor_set", hex(anchor_set_digest(all))}};
}

Json call_rolled_back(Memory& memory, const MemoryCaller& caller, const Params& params) {
  const std::string cause = params.text("cause");
  const int64_t from = params.number("from", 0, 0, INT64_MAX), to = params.number("to", 0, 0, INT64_MAX);
  const int64_t dropped = params.number("dropped", 0, 0, INT64_MAX);
  const auto written = ids(memory, params, "written");
  params.done();
  return {{"index", memory.rolled_back(caller.session, cause, from, to, dropped, written)}};
}

Json call_wait_signed(Memory& memory, const MemoryCaller&, const Params& params) {
  const int64_t index = params.number("index", 0, 0, INT64_MAX);
  params.done();
  if (index >= memory.ledger().durable_size())
    throw Error(ErrorKind::kNotFound, "there is no event " + std::to_string(index));
  memory.ledger().wait_signed(index + 1);
  return {{"signed_size", memory.ledger().signed_size()}};
}

}  // namespace fieldprint::memory
