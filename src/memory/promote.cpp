// Up is signed: proposals, the statements that people sign, and what a signed statement does.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "fieldprint/error.h"
#include "memory/memory.h"
#include "memory/prepared.h"

namespace fieldprint::memory {

namespace {

constexpr int64_t kCandidateBytes = 4096;
constexpr size_t kFirstAnchors = 8;  // whose mean is where drift is counted from

[[noreturn]] void refuse(const std::string& what, const std::string& rule) {
  throw Error(ErrorKind::kUnsupported, what + " (" + rule + ")");
}

std::vector<double> mean_of(const std::vector<Codes>& all) {
  std::vector<double> mean(all.empty() ? 0 : all.front().size());
  for (const Codes& codes : all) {
    const double length = std::sqrt(static_cast<double>(dot(codes, codes)));
    for (size_t i = 0; length > 0 && i < std::min(mean.size(), codes.size()); ++i) mean[i] += codes[i] / length;
  }
  return mean;
}

double angle(const std::vector<double>& a, const std::vector<double>& b) {
  const double lengths = std::sqrt(std::inner_product(a.begin(), a.end(), a.begin(), 0.0)) *
                         std::sqrt(std::inner_product(b.begin(), b.end(), b.begin(), 0.0));
  return lengths == 0
             ? 0
             : std::acos(std::clamp(std::inner_product(a.begin(), a.end(), b.begin(), 0.0) / lengths, -1.0, 1.0));
}

}  // namespace

Admitted Memory::propose(const MemoryCaller& caller, const Offer& offer) {
  return bring(caller, prepare(caller, offer, kCandidateBytes), EventKind::kPropose);
}

Admitted Memory::propose(const MemoryCaller& caller, const RecordId& id, std::optional<int64_t> valid_until,
                         std::optional<RecordId> supersedes) {
  const Record source = record(id);
  if (!visible(caller, source)) no_record();
  const Row row = this->row(id);
  if (!is_live(row.status))
    refuse("the record is " + std::string(status_name(row.status)), "T3: only what is live is proposed");
  const Payload text = payload(id, source);
  Offer offer;
  offer.text = text.text;
  offer.channel = caller.adapter.starts_with("mcp") ? "model" : "user";
  offer.uri = text.uri;
  offer.title = text.title;
  offer.valid_until = valid_until;
  offer.seen = {id};
  offer.supersedes = supersedes;
  return propose(caller, offer);
}

// How far the mean of all anchors in force, with this one, would lie from the mean of the first ones since the policy
// was last set. Counted from there and never from the last step, so that many small steps are as far as one large one.
std::optional<std::string> Memory::drifts(const Codes& candidate) const {
  std::vector<RecordId> order;
  for (const RecordId& id : registry_.endorsed()) {
    if (registry_.row(id).brought > registry_.policy_index()) order.push_back(id);
  }
  if (order.size() < kFirstAnchors) return std::nullopt;
  std::vector<Codes> first, now;
  for (size_t i = 0; i < order.size(); ++i) {
    const bool in_force = is_anchor(registry_.row(order[i]).status);
    if (i >= kFirstAnchors && !in_force) continue;
    if (registry_.row(order[i]).erased) continue;
    Codes codes = this->codes(order[i], record(order[i]));
    if (codes.size() != candidate.size()) continue;  // of another encoder
    if (i < kFirstAnchors) first.push_back(codes);
    if (in_force) now.push_back(std::move(codes));
  }
  now.push_back(candidate);
  if (first.empty()) return std::nullopt;
  const auto drift = static_cast<int64_t>(std::lround(1000 * angle(mean_of(first), mean_of(now))));
  if (drift <= registry_.policy().drift) return std::nullopt;
  return "with it the anchors would be " + std::to_string(drift) + " thousandths of a radian from the first ones, " +
         std::to_string(registry_.policy().drift) + " are allowed";
}

Statement Memory::statement(std::string_view action,
                            const std::vector<std::pair<std::string, std::string>>& given) const {
  const auto value = [&](std::string_view name, const char* otherwise = nullptr) -> std::string {
    const auto found = std::ranges::find(given, name, &std::pair<std::string, std::string>::first);
    if (found != given.end()) return found->second;
    if (otherwise) return otherwise;
    throw Error(ErrorKind::kUsage, "a statement to " + std::string(action) + " needs " + std::string(name));
  };
  const std::lock_guard lock(mutex_);
  const std::string size = std::to_string(registry_.size());
  Statement statement{std::string(action), {{"log", registry_.origin()}, {"agent", registry_.agent()}}};
  const auto add = [&](std::string_view name, std::string text) {
    statement.fields.emplace_back(std::string(name), std::move(text));
  };
  if (action == "endorse") {
    const RecordId id = ledger::digest_of(ledger::from_hex(value("record")));
    const Record candidate = record(id);
    add("record", hex(id));
    add("payload", hex(candidate.payload));
    add("sources", hex(sources_digest(candidate.label.sources)));
    add("lineage", hex(lineage_digest(candidate.lineage)));
    add("policy", std::to_string(registry_.policy_index()));
    add("size", size);
    add("valid-until",
        value("valid-until", candidate.valid_until ? std::to_string(*candidate.valid_until).c_str() : "0"));
    add("influence", std::to_string(candidate.influence));
  } else if (action == "release" || action == "revoke") {
    add("record", value("record"));
    add("size", size);
    add("reason", value("reason", "none given"));
  } else if (action == "supersede") {
    add("record", value("record"));
    add("successor", value("successor"));
    add("size", size);
  } else if (action == "key") {
    add("role", value("role"));
    add("vkey", value("vkey"));
    add("action", value("change", "add"));
    add("size", size);
  } else if (action == "policy") {
    add("policy", value("policy"));
    add("size", size);
  }
  statement_text(statement);  // refuses what is not in its form
  return statement;
}

Submitted Memory::endorse(const ledger::Note& note, const Statement& statement) {
  const RecordId id = statement.digest("record");
  const Record candidate = record(id);
  const auto equal = [&](const char* name, const Digest& digest) {
    if (statement.digest(name) != digest) refuse("the statement names another " + std::string(name), "T4");
  };
  equal("payload", candidate.payload);
  equal("sources", sources_digest(candidate.label.sources));
  equal("lineage", lineage_digest(candidate.lineage));
  if (statement.number("influence") != candidate.influence) refuse("the statement allows another influence", "T4");
  if (candidate.label.integrity == Integrity::kHostile) refuse("the candidate is HOSTILE", "T4");
  if (const auto bad = bad_ancestor(id)) {
    refuse("the candidate descends from " + hex(*bad) + ", which is " +
               std::string(status_name(registry_.row(*bad).status)),
           "T4: no bad ancestor");
  }
  // Refused here as the registry would, so that the key of a payload is not used up for nothing.
  const int64_t approvals = candidate.label.sources.is_any()
                                ? std::max(registry_.approvals(id), registry_.policy().approvals_external)
                                : registry_.approvals(id);
  registry_.check(note, "endorse", KeyRole::kApprover, approvals);

  std::vector<SourceId> approvers;
  for (const Key& key : registry_.keys()) {
    const bool signed_it = std::ranges::any_of(note.signatures, [&](const ledger::NoteSignature& signature) {
      return key.role == KeyRole::kApprover && !key.retired && key.verifier.made(signature);
    });
    if (signed_it) approvers.push_back(source_id("key", key.verifier.name(), key.verifier.vkey()));
  }
  const Payload text = payload(id, candidate);
  const Salt salt = this->salt(id);
  const Codes codes = this->codes(id, candidate);

  Record anchor = candidate;
  anchor.label = {Integrity::kEndorsed, Sources(approvers), candidate.label.readers};
  anchor.lineage = {id};
  anchor.base_size = registry_.size();
  const int64_t valid = statement.number("valid-until");
  anchor.valid_until = valid ? std::optional(valid) : std::nullopt;
  anchor.created = std::max(now_ms(), registry_.time());
  const RecordId anchor_id = record_id(encode_record(anchor));

  Event event(EventKind::kEndorse, anchor.created, "gateway");
  event.set(Field::kId, ledger::ByteView(id)).set(Field::kSuccessor, ledger::ByteView(anchor_id));
  event.set(Field::kNote, ledger::format_note(note));
  if (anchor.valid_until) event.set(Field::kValidUntil, *anchor.valid_until);
  std::vector<ledger::IndexWrite> writes;
  add_record(anchor_id, anchor, text, salt, codes, writes);
  const int64_t index = put_locked({event}, std::move(writes));
  index_of(anchor.principal).add(anchor_id, codes);
  if (anchor.valid_until) expiring_.emplace(*anchor.valid_until, anchor_id);
  return {EventKind::kEndorse, index, id, anchor_id};
}

Submitted Memory::submit(const ledger::Note& note) {
  const Statement statement = parse_statement(note.text);
  std::unique_lock lock(mutex_);
  const bool lowers = statement.action == "revoke";
  if (!lowers) check_open();
  const auto one = [&](EventKind kind) {
    Event event = this->event(kind, "gateway");
    event.set(Field::kNote, ledger::format_note(note));
    return event;
  };
  Submitted submitted{EventKind::kEndorse, 0, {}};
  if (statement.action == "endorse") {
    submitted = endorse(note, statement);
  } else if (statement.action == "key") {
    submitted = {EventKind::kKey, put_locked({one(EventKind::kKey)}, {}), {}};
  } else if (statement.action == "policy") {
    Event event = one(EventKind::kPolicy);
    event.set(Field::kPolicy, ledger::decode(ledger::from_hex(statement.at("policy"))));
    submitted = {EventKind::kPolicy, put_locked({event}, {}), {}};
  } else {
    const RecordId id = statement.digest("record");
    registry_.row(id);
    if (statement.action == "revoke") {
      std::vector<Event> events{one(EventKind::kRevoke).set(Field::kId, ledger::ByteView(id))};
      std::vector<RecordId> fallen;
      // Effect, then log: whoever uses the record is told as soon as the statement is known to hold.
      registry_.check_revoke(events.front());
      for (const RecordId& child : descendants(id)) lower(events, child, hex(id), fallen);
      fallen.push_back(id);
      tell_lowered(fallen);
      submitted = {EventKind::kRevoke, put_locked(events, {}), id, {}, fallen};
    } else if (statement.action == "supersede") {
      if (record(statement.digest("successor")).supersedes != id) {
        refuse("the successor was not proposed as one of this record", "T9");
      }
      Event event = one(EventKind::kSupersede);
      event.set(Field::kId, ledger::ByteView(id))
          .set(Field::kSuccessor, ledger::ByteView(statement.digest("successor")));
      submitted = {EventKind::kSupersede, put_locked({event}, {}), id};
      tell_lowered({id});
    } else {
      const Record released = record(id);
      if (const auto bad = bad_ancestor(id)) {
        refuse("the record descends from " + hex(*bad) + ", which is " +
                   std::string(status_name(registry_.row(*bad).status)),
               "T8: all guards hold again");
      }
      payload(id, released);
      submitted = {EventKind::kRelease,
                   put_locked({one(EventKind::kRelease).set(Field::kId, ledger::ByteView(id))}, {}), id};
    }
  }
  const int64_t size = registry_.size();
  lock.unlock();
  shelf_->wait(size);
  return submitted;
}

std::optional<std::string> Memory::cannot_pin(const RecordId& id) const {
  try {
    const std::lock_guard lock(mutex_);
    if (const std::string why = no_anchors(); !why.empty()) return why;
    if (const std::string why = ledger_->read_only(); !why.empty()) return why;
    const Row& row = registry_.row(id);
    if (row.kind != RecordKind::kAnchor || !is_anchor(row.status))
      return "it is " + std::string(status_name(row.status));
    if (row.valid_until && now_ms() > *row.valid_until) return "it has expired";
    const Record anchor = record(id);
    if (anchor.agent != registry_.agent()) return "it is another agent's";
    payload(id, anchor);
    if (const auto bad = bad_ancestor(id)) return "it descends from " + hex(*bad) + ", which has fallen";
    // The event that endorsed it, read back from the disk: its signatures hold, and a signed checkpoint includes it.
    const Event endorsed = decode_event(ledger_->leaf(row.brought));
    if (endorsed.kind != EventKind::kEndorse || endorsed.id(Field::kSuccessor) != id)
      return "no endorsement brought it";
    const RecordId candidate = endorsed.id();
    if (anchor.lineage != std::vector<RecordId>{candidate}) return "its lineage is not its candidate";
    const ledger::Note note = ledger::parse_note(endorsed.at(Field::kNote).text());
    const bool any = record(candidate).label.sources.is_any();
    registry_.check(note, "endorse", KeyRole::kApprover,
                    any ? registry_.policy().approvals_external : registry_.approvals(id));
    if (ledger_->signed_size() <= row.brought) return "no signed checkpoint includes it yet";
    if (!ledger_->included(row.brought)) return "the ledger does not prove it";
    return std::nullopt;
  } catch (const std::exception& error) {  // any error: no
    return error.what();
  }
}

}  // namespace fieldprint::memory
