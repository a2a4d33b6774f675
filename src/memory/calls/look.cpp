// Calls that only look: status, list, find, show, explain, log.
#include <algorithm>

#include "fieldprint/error.h"
#include "memory/params.h"

namespace fieldprint::memory {

namespace {

Json value_json(const ledger::Value& value);

constexpr std::pair<Field, std::string_view> kFieldNames[] = {
    {Field::kRecordKind, "kind"},
    {Field::kIntegrity, "integrity"},
    {Field::kValidUntil, "valid_until"},
    {Field::kCause, "cause"},
    {Field::kSuccessor, "successor"},
    {Field::kKvDigest, "kv_digest"},
    {Field::kModel, "model"},
    {Field::kLayout, "layout"},
    {Field::kTokens, "tokens"},
    {Field::kAnchorSet, "anchors"},
    {Field::kCommand, "command"},
    {Field::kQuery, "query"},
    {Field::kEncoder, "encoder"},
    {Field::kIds, "ids"},
    {Field::kScores, "scores"},
    {Field::kSession, "session"},
    {Field::kPrincipal, "principal"},
    {Field::kBoundary, "boundary"},
    {Field::kTokenIds, "token_ids"},
    {Field::kSources, "sources"},
    {Field::kHidden, "hidden"},
    {Field::kPages, "pages"},
    {Field::kFrom, "from"},
    {Field::kTo, "to"},
    {Field::kBoundaryCause, "boundary_cause"},
    {Field::kDropped, "dropped"},
    {Field::kDetail, "detail"},
    {Field::kRoot, "root"},
    {Field::kRows, "rows"},
    {Field::kId, "id"},
    {Field::kAgent, "agent"},
    {Field::kKeys, "keys"},
    {Field::kPolicy, "policy"},
    {Field::kInstance, "instance"},
    {Field::kAbandoned, "abandoned"},
};

struct ToJson {
  Json operator()(int64_t number) const { return number; }
  Json operator()(const ledger::Bytes& bytes) const { return ledger::to_hex(bytes); }
  Json operator()(const std::string& text) const { return text; }
  Json operator()(const ledger::Array& array) const {
    Json json = Json::array();
    for (const ledger::Value& item : array) json.push_back(value_json(item));
    return json;
  }
  Json operator()(const ledger::Map& map) const {
    Json json = Json::object();
    for (const ledger::Entry& entry : map.entries()) json[std::to_string(entry.key)] = value_json(entry.value);
    return json;
  }
};
Json value_json(const ledger::Value& value) { return value.visit(ToJson()); }

Json event_json(int64_t index, const Event& event) {
  Json json{
      {"index", index}, {"event", event_name(event.kind)}, {"time", time_text(event.time)}, {"actor", event.actor}};
  for (const ledger::Entry& entry : event.fields.entries()) {
    const auto field = static_cast<Field>(entry.key);
    if (field == Field::kNote) {
      json[event.kind == EventKind::kGenesis ? "origin" : "note"] = value_json(entry.value);
      continue;
    }
    const auto* found = std::ranges::find(kFieldNames, field, &std::pair<Field, std::string_view>::first);
    Json value = value_json(entry.value);
    if (field == Field::kRecordKind) value = kind_name(static_cast<RecordKind>(entry.value.integer()));
    if (field == Field::kIntegrity) value = integrity_name(static_cast<Integrity>(entry.value.integer()));
    json[found == std::end(kFieldNames) ? std::to_string(entry.key) : std::string(found->second)] = std::move(value);
  }
  return json;
}

// The record and what it descends from, each once; deeper than kDepth it stands as an id alone.
Json lineage_tree(const Memory& memory, const MemoryCaller& caller, const RecordId& id, int depth,
                  std::set<RecordId>& shown) {
  constexpr int kDepth = 20;
  const Record record = own_record(memory, caller, id);
  Json json = record_json(memory, id, record, memory.row(id));
  if (!shown.insert(id).second) {
    json["again"] = true;
    return json;
  }
  try {
    const Payload payload = memory.payload(id, record);
    json["text"] = payload.text;
    if (!payload.uri.empty()) json["uri"] = payload.uri;
    json["adapter"] = payload.adapter;
  } catch (const Error& error) {
    json["text"] = nullptr;
    json["why_no_text"] = error.what();
  }
  Json parents = Json::array();
  for (const RecordId& parent : record.lineage) {
    parents.push_back(depth < kDepth ? lineage_tree(memory, caller, parent, depth + 1, shown) : Json(hex(parent)));
  }
  json["lineage"] = std::move(parents);
  return json;
}

}  // namespace

Json call_status(Memory& memory, const MemoryCaller& caller, const Params& params) {
  params.done();
  return memory.with_registry([&](const Registry& registry) {
    Json counts = Json::object();
    for (int i = 1; i <= kStatuses; ++i) {
      const auto status = static_cast<Status>(i);
      if (registry.count(status) > 0) counts[std::string(status_name(status))] = registry.count(status);
    }
    Json keys = Json::array();
    for (const Key& key : registry.keys()) {
      keys.push_back({{"role", role_name(key.role)}, {"vkey", key.verifier.vkey()}, {"retired", key.retired}});
    }
    Json rules = Json::object();
    for (const PolicyRule& rule : Policy::rules()) rules[rule.name] = registry.policy().*rule.field;
    return Json{{"directory", memory.directory()},   {"origin", registry.origin()},
                {"agent", registry.agent()},         {"principal", caller.principal},
                {"size", registry.size()},           {"signed_size", memory.ledger().signed_size()},
                {"records", std::move(counts)},      {"frozen", memory.frozen()},
                {"no_anchors", memory.no_anchors()}, {"encoder", memory.encoder_name()},
                {"policy", std::move(rules)},        {"keys", std::move(keys)}};
  });
}

Json call_list(Memory& memory, const MemoryCaller& caller, const Params& params) {
  const std::string status = params.text("status", ""), kind = params.text("kind", "");
  const auto limit = params.number("limit", 50, 1, 10000);
  const int64_t after = params.number("after", -1, -1, INT64_MAX);
  params.done();
  // The newest come last, as in the log; `after` is an index.
  std::vector<std::pair<int64_t, RecordId>> order;
  memory.with_registry([&](const Registry& registry) {
    for (const auto& [id, row] : registry.rows()) {
      if (row.brought <= after || (!status.empty() && status_name(row.status) != status) ||
          (!kind.empty() && kind_name(row.kind) != kind)) {
        continue;
      }
      order.emplace_back(row.brought, id);
    }
    return 0;
  });
  std::ranges::sort(order);
  Json records = Json::array();
  for (const auto& [index, id] : order) {
    if (static_cast<int64_t>(records.size()) == limit) break;
    const Record record = memory.record(id);
    if (!memory.visible(caller, record)) continue;
    Json json = record_json(memory, id, record, memory.row(id));
    try {
      json["text"] = memory.payload(id, record).text;
    } catch (const Error&) {
      json["text"] = nullptr;
    }
    records.push_back(std::move(json));
  }
  return {{"records", std::move(records)}};
}

// Exactly this text, byte for byte; nothing else is like it.
Json call_find(Memory& memory, const MemoryCaller& caller, const Params& params) {
  const std::string text = params.text("text");
  params.done();
  const auto id = memory.find_exact(caller, text);
  if (!id) no_record();
  return record_json(memory, *id, own_record(memory, caller, *id), memory.row(*id));
}

Json call_show(Memory& memory, const MemoryCaller& caller, const Params& params) {
  const RecordId id = params.id(memory);
  params.done();
  const Record record = own_record(memory, caller, id);
  Json json = record_json(memory, id, record, memory.row(id));
  Json lineage = Json::array();
  for (const RecordId& parent : record.lineage) lineage.push_back(hex(parent));
  json["lineage"] = std::move(lineage);
  json["payload_commitment"] = hex(record.payload);
  json["confidence"] = record.confidence;
  if (record.embedding) json["encoder"] = record.embedding->encoder;
  if (memory.row(id).erased) return json;
  const Payload payload = memory.payload(id, record);
  json["text"] = payload.text;
  json["adapter"] = payload.adapter;
  if (!payload.uri.empty()) json["uri"] = payload.uri;
  if (!payload.title.empty()) json["title"] = payload.title;
  return json;
}

Json call_explain(Memory& memory, const MemoryCaller& caller, const Params& params) {
  const RecordId id = params.id(memory);
  params.done();
  std::set<RecordId> shown;
  Json json{{"record", lineage_tree(memory, caller, id, 0, shown)}};
  Json events = Json::array();
  const Row row = memory.row(id);
  for (const int64_t index : {row.brought, row.changed}) {
    if (index == row.changed && row.changed == row.brought && !events.empty()) break;
    events.push_back(event_json(index, decode_event(memory.ledger().leaf(index))));
  }
  json["events"] = std::move(events);
  const auto bad = memory.with_registry([&](const Registry&) { return memory.bad_ancestor(id); });
  json["bad_ancestor"] = bad ? Json(hex(*bad)) : Json(nullptr);
  if (memory.row(id).kind == RecordKind::kAnchor) {
    const auto why = memory.cannot_pin(id);
    json["can_pin"] = !why;
    if (why) json["cannot_pin"] = *why;
  }
  const int64_t size = memory.ledger().signed_size();
  json["proof"] = {{"index", row.brought}, {"size", size}, {"signed", row.brought < size}};
  return json;
}

Json call_log(Memory& memory, const MemoryCaller&, const Params& params) {
  const int64_t limit = params.number("limit", 50, 1, 10000);
  const int64_t size = memory.ledger().durable_size();
  // The last ones, where nothing is said.
  const int64_t after = params.number("after", std::max<int64_t>(size - limit, 0) - 1, -1, INT64_MAX - 1);
  params.done();
  Json events = Json::array();
  const int64_t begin = std::min(after + 1, size);
  memory.ledger().leaves(begin, std::min(size, begin + limit), [&](int64_t index, ledger::ByteView leaf) {
    events.push_back(event_json(index, decode_event(leaf)));
  });
  return {{"events", std::move(events)}, {"size", size}};
}

}  // namespace fieldprint::memory
