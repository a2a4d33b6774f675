// Calls that change what a record may do: statement, submit, suspend; and alarm, which changes nothing.
#include <algorithm>

#include "fieldprint/error.h"
#include "memory/params.h"

namespace fieldprint::memory {

namespace {

// The rules in force, with those that are named changed.
std::string policy_hex(const Memory& memory, const std::vector<std::pair<std::string, int64_t>>& changes) {
  Policy policy = memory.with_registry([](const Registry& registry) { return registry.policy(); });
  for (const auto& [name, value] : changes) {
    const auto rules = Policy::rules();
    const auto rule =
        std::ranges::find_if(rules, [&name](const PolicyRule& one) { return one.name == std::string_view(name); });
    if (rule == rules.end()) {
      throw Error(ErrorKind::kUsage, "there is no rule " + name, {}, "the status has them all");
    }
    if (value < rule->least || value > rule->most) {
      throw Error(ErrorKind::kUsage,
                  name + " is from " + std::to_string(rule->least) + " to " + std::to_string(rule->most));
    }
    policy.*rule->field = value;
  }
  return ledger::to_hex(ledger::encode(policy.cbor()));
}

}  // namespace

Json call_statement(Memory& memory, const MemoryCaller& caller, const Params& params) {
  const std::string action = params.text("action");
  std::vector<std::pair<std::string, std::string>> given;
  for (const char* name : {"id", "successor"}) {
    if (!params.has(name)) continue;
    const RecordId id = params.id(memory, name);
    own_record(memory, caller, id);
    given.emplace_back(std::string_view(name) == "id" ? "record" : name, hex(id));
  }
  for (const char* name : {"reason", "role", "vkey", "change"}) {
    if (params.has(name)) given.emplace_back(name, params.text(name));
  }
  if (params.has("policy")) given.emplace_back("policy", policy_hex(memory, params.numbers("policy")));
  if (const auto valid = params.valid_until()) given.emplace_back("valid-until", std::to_string(*valid));
  params.done();
  return {{"text", statement_text(memory.statement(action, given))}};
}

Json call_submit(Memory& memory, const MemoryCaller&, const Params& params) {
  const std::string note = params.text("note");
  params.done();
  const Submitted submitted = memory.submit(ledger::parse_note(note));
  Json json{{"event", event_name(submitted.event)}, {"index", submitted.index}};
  if (submitted.event != EventKind::kKey && submitted.event != EventKind::kPolicy) json["id"] = hex(submitted.id);
  if (submitted.anchor) json["anchor"] = hex(*submitted.anchor);
  Json fallen = Json::array();
  for (const RecordId& id : submitted.fallen) fallen.push_back(hex(id));
  if (!fallen.empty()) json["fallen"] = std::move(fallen);
  return json;
}

Json call_alarm(Memory& memory, const MemoryCaller&, const Params& params) {
  const std::string what = params.text("what"), detail = params.text("detail");
  params.done();
  if (what.size() > 64) throw Error(ErrorKind::kLimit, "what an alarm is about has at most 64 bytes");
  memory.alarm(what, detail);
  return {{"size", memory.ledger().durable_size()}};
}

Json call_suspend(Memory& memory, const MemoryCaller& caller, const Params& params) {
  const RecordId id = params.id(memory);
  const std::string reason = params.text("reason");
  params.done();
  own_record(memory, caller, id);
  if (reason.size() > 256) throw Error(ErrorKind::kLimit, "a reason has at most 256 bytes");
  Json fallen = Json::array();
  for (const RecordId& one : memory.suspend("principal:" + caller.principal, id, reason)) fallen.push_back(hex(one));
  return {{"id", hex(id)}, {"status", status_name(memory.row(id).status)}, {"fallen", std::move(fallen)}};
}

}  // namespace fieldprint::memory
