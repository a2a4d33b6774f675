// Records as events bring them (verify/replay.h): what the record says beside what the event says, where its label
// comes from, and anchors beside the candidates they are made of.
#include <fmt/format.h>

#include <algorithm>

#include "replay.h"
#include "text.h"

namespace fieldprint::verify {
namespace {

constexpr std::array<std::string_view, 6> kKinds = {"", "OBS", "USR", "INF", "EPI", "ANC"};

}  // namespace

// Faults of a record beside its event. False where it is there already, or could not be read.
bool Replay::check_new(uint32_t record, const Event& event) {
  if (registry_[record].status != Status::kNone) {
    fault("status.new", fmt::format("Event {} has brought this record already.", registry_[record].brought), record);
    return false;
  }
  const Records::Entry& entry = records_[record];
  if (!entry.readable) {  // its fault is reported, and its row cannot be written
    unknown_.emplace(view(records_.id(record)));
    registry_.bring(record, Status::kAdmitted, Status::kNone, index_);
    return false;
  }
  const bool endorsed = event.kind() == EventKind::kEndorse;
  const Label& label = records_.label(record);
  if (!endorsed &&
      (event.number(kRecordKind) != static_cast<uint64_t>(entry.kind) || event.number(kIntegrity) != label.integrity))
    fault("record.event", "The event says another kind or integrity than the record.", record);
  if ((event.has(kValidUntil) ? event.number(kValidUntil) : 0) != entry.valid_until)
    fault("record.event", "The event says another time until which the record is valid.", record);
  if (records_.name(entry.agent) != agent_)
    fault("record.agent", fmt::format("The record is of the agent {}.", printable(records_.name(entry.agent))), record);
  if (entry.base_size > index_)
    fault("record.base-size", fmt::format("The record was written at {} events, later than it came.", entry.base_size),
          record);
  if (entry.created > event.time()) fault("record.created", "The record was created after it came.", record);
  if (!endorsed && label.integrity > greatest_integrity(entry.kind))
    fault("label.kind",
          fmt::format("A record of the kind {} has integrity {}, and may have {}.",
                      kKinds[static_cast<size_t>(entry.kind)], label.integrity, greatest_integrity(entry.kind)),
          record);
  return true;
}

// Whether all that the record names was there when it was written, and its label follows from it.
void Replay::check_lineage(uint32_t record, bool anchor) {
  const Records::Entry& entry = records_[record];
  const auto there = [&](uint32_t other) {
    return registry_[other].status != Status::kNone && registry_[other].brought < entry.base_size;
  };
  if (entry.lineage_unknown) fault("lineage.unknown", "The record descends from an id that is no record's.", record);
  if (entry.supersedes_unknown || (entry.supersedes != Records::kNone && !there(entry.supersedes)))
    fault("lineage.order", "The record supersedes one that was not there when it was written.", record);
  for (uint32_t parent : records_.lineage(record)) {
    if (!there(parent)) {
      fault("lineage.order",
            fmt::format("The record descends from {}, which was not there when it was written.",
                        hex(view(records_.id(parent)))),
            record);
      continue;
    }
    if (registry_[parent].fallen || registry_[parent].status == Status::kRevoked) registry_.fall(record);
    if (!records_[parent].readable) continue;
    if (records_[parent].principal != entry.principal)
      fault("label.scope",
            fmt::format("The record descends from {}, which is another principal's.", hex(view(records_.id(parent)))),
            record);
    if (anchor || records_[parent].label == entry.label) continue;
    const std::string_view rule = broken_rule(records_.label(record), records_.label(parent));
    if (!rule.empty())
      fault(rule,
            fmt::format("The record's label is above that of {}, which it descends from.",
                        hex(view(records_.id(parent)))),
            record);
  }
}

void Replay::bring(const Event& event) {
  const uint32_t record = record_of(event, kRecord, false);
  if (record == Records::kNone || !check_new(record, event)) return;
  check_lineage(record, false);
  const bool candidate = event.kind() == EventKind::kPropose, quarantined = event.kind() == EventKind::kQuarantine;
  if (candidate != (records_[record].kind == RecordKind::kAnchor))
    fault("status.kind",
          candidate ? "Only a record of the kind ANC is proposed." : "A record of the kind ANC begins with PROPOSE.",
          record);
  if (candidate && records_.label(record).integrity == kIntegrityHostile)
    fault("status.hostile", "What is HOSTILE is not proposed.", record);
  if (registry_[record].fallen && !quarantined)
    fault("status.fallen", "What descends from a REVOKED record begins with QUARANTINE.", record);
  const Status status = candidate ? Status::kProposed : Status::kAdmitted;
  registry_.bring(record, quarantined ? Status::kSuspended : status, quarantined ? Status::kAdmitted : Status::kNone,
                  index_);
}

void Replay::endorse(const Event& event) {
  const uint32_t candidate = record_of(event, kRecord, true), anchor = record_of(event, kOther, false);
  Note note;
  std::optional<uint64_t> changed;
  uint64_t needed = policy_.signatures;
  if (candidate != Records::kNone) {
    changed = registry_[candidate].changed;
    needed = approvals(candidate);
  }
  const std::optional<Statement> statement = this->statement(event, "endorse", changed, note);
  std::vector<Vkey> signed_by;
  if (statement) {
    need_digest(*statement, "record", event, kRecord);
    if (*from_decimal(statement->at("policy")) != policy_event_)
      fault("statement.policy",
            fmt::format("The statement is under the policy of event {}, in force is that of event {}.",
                        statement->at("policy"), policy_event_));
    if (*from_decimal(statement->at("valid-until")) != (event.has(kValidUntil) ? event.number(kValidUntil) : 0))
      fault("statement.field", "The statement's valid-until is not the event's.");
    signed_by = need_signers(note, Role::kApprover, needed);
  }
  if (candidate != Records::kNone) {
    need(registry_[candidate].status == Status::kProposed, event, candidate);
    check_raise(candidate);
    registry_.set(candidate, Status::kSuperseded, index_);
  }
  if (anchor == Records::kNone || !check_new(anchor, event)) return;
  check_lineage(anchor, true);
  if (statement && candidate != Records::kNone) check_anchor(anchor, candidate, *statement, signed_by);
  if (records_[anchor].valid_until != 0 && records_[anchor].valid_until < time_)
    fault("status.valid-until", "The anchor has expired before it was endorsed.", anchor);
  registry_.bring(anchor, Status::kEndorsed, Status::kNone, index_);
}

// Everything that the anchor takes over from the candidate and from what was signed.
void Replay::check_anchor(uint32_t anchor, uint32_t candidate, const Statement& statement,
                          const std::vector<Vkey>& signers) {
  const std::optional<std::string> anchor_bytes = records_.bytes(anchor), candidate_bytes = records_.bytes(candidate);
  if (!anchor_bytes || !candidate_bytes) {
    report_.fault("export.read", "The file has changed while it was read.", {.file = "records", .event = index_});
    return;
  }
  std::vector<cbor::Item> anchor_items, candidate_items;
  std::string_view rule;
  std::string error;
  const std::optional<Record> to = parse_record(*anchor_bytes, anchor_items, rule, error);
  const std::optional<Record> from = parse_record(*candidate_bytes, candidate_items, rule, error);
  if (!to || !from) return;  // reported when all records were read

  const auto differs = [&](std::string_view name) {
    fault("statement.field", fmt::format("The statement's {} is not the candidate's.", name), candidate);
  };
  if (statement.at("payload") != hex(from->payload)) differs("payload");
  if (statement.at("sources") != hex(view(digest("sources", from->label.sources)))) differs("sources");
  if (statement.at("lineage") != hex(view(digest("lineage", from->lineage_bytes)))) differs("lineage");
  if (*from_decimal(statement.at("influence")) != to->influence)
    fault("statement.field", "The statement's influence is not the anchor's.", anchor);

  if (to->kind != RecordKind::kAnchor || to->label.integrity != kIntegrityEndorsed)
    fault("anchor.label", "What an endorsement brings is a record of the kind ANC with integrity ENDORSED.", anchor);
  std::vector<std::string> ids;
  for (const Vkey& key : signers) {
    std::string source;
    cbor::put_head(source, cbor::Type::kArray, 3);
    cbor::put_text(source, "key");
    cbor::put_text(source, key.name);
    cbor::put_text(source, key.text);
    ids.emplace_back(view(digest("source", source)).substr(0, 16));
  }
  std::sort(ids.begin(), ids.end());
  if (to->label.any_source ||
      !std::equal(ids.begin(), ids.end(), to->label.source_ids.begin(), to->label.source_ids.end()))
    fault("anchor.sources", "The anchor's sources are not the keys of the approvers that signed.", anchor);
  if (to->lineage.size() != 1 || to->lineage[0] != view(records_.id(candidate)))
    fault("anchor.lineage", "The anchor does not descend from its candidate alone.", anchor);
  const auto copied = [&](bool same, std::string_view name) {
    if (!same) fault("anchor.copy", fmt::format("The anchor's {} is not the candidate's.", name), anchor);
  };
  copied(to->principal == from->principal, "principal");
  copied(to->label.readers == from->label.readers, "readers");
  copied(to->payload == from->payload, "payload commitment");
  copied(to->embedding == from->embedding, "embedding");
  copied(to->confidence == from->confidence, "confidence");
  copied(to->supersedes == from->supersedes, "supersedes");
}

}  // namespace fieldprint::verify
