#include "replay.h"

#include <fmt/format.h>

#include <algorithm>

#include "override.h"
#include "text.h"

namespace fieldprint::verify {

Replay::Replay(const Records& records, std::string origin, Report& report)
    : records_(records), origin_(std::move(origin)), report_(report), registry_(records), lineage_(records) {}

void Replay::event(uint64_t index, std::string_view leaf) {
  index_ = index;
  std::string error;
  const std::string_view rule = event_.parse(leaf, error);
  if (!rule.empty()) return fault(rule, error);
  const Event& event = event_;
  ++counts_[static_cast<size_t>(event.kind())];
  if (event.time() < time_) fault("event.time", "The event's time is before that of the event before it.");
  time_ = std::max(time_, event.time());
  if ((event.kind() == EventKind::kGenesis) != (index == 0))
    return fault("event.genesis", index == 0 ? "The first event is not GENESIS." : "GENESIS is the first event only.");
  check_cascade(event);
  if (event.kind() != EventKind::kActivate) end_activation();
  switch (event.kind()) {
    case EventKind::kGenesis:
      return genesis(event);
    case EventKind::kKey:
      return key(event);
    case EventKind::kPolicy:
      return policy(event);
    case EventKind::kAdmit:
    case EventKind::kQuarantine:
    case EventKind::kPropose:
      return bring(event);
    case EventKind::kEndorse:
      return endorse(event);
    case EventKind::kCompile:
      return compile(event);
    case EventKind::kActivate:
      return activate(event);
    case EventKind::kSuspend:
      return suspend(event);
    case EventKind::kRelease:
      return release(event);
    case EventKind::kSupersede:
      return supersede(event);
    case EventKind::kRevoke:
      return revoke(event);
    case EventKind::kExpire:
      return expire(event);
    case EventKind::kErase:
      return erase(event);
    case EventKind::kReceipt:
      return receipt(event);
    case EventKind::kCommit:
    case EventKind::kRollback:
      return range(event);
    case EventKind::kAlarm:
      return;
    case EventKind::kOverride:
      return override_command(event);
    case EventKind::kState:
      return state(event);
  }
}

void Replay::end(bool complete) {
  end_activation();
  if (!complete) return;
  end_cascade();
  for (uint32_t i = 0; i < records_.size(); ++i) {
    if (registry_[i].status == Status::kNone)
      report_.fault("record.stray", "No event has brought this record.", {.file = "records", .record = records_.id(i)});
  }
}

// --- what several events need

uint32_t Replay::record_of(const Event& event, Field field, bool brought) {
  const Hash id = event.hash(field);
  const uint32_t record = records_.find(id);
  if (record != Records::kNone) {
    if (!brought || registry_[record].status != Status::kNone) return record;
    fault("status.unknown", "No event before this one has brought the record.", record);
    return Records::kNone;
  }
  // Said once for each record, not for each event on it.
  if (unknown_.insert(std::string(view(id))).second)
    report_.fault(brought ? "status.unknown" : "record.missing",
                  brought ? "No event before this one has brought the record." : "The export does not have the record.",
                  {.event = index_, .record = id});
  return Records::kNone;
}

void Replay::need(bool allowed, const Event& event, uint32_t record) {
  if (!allowed)
    fault("status.transition",
          fmt::format("{} of a record that is {}{}.", name_of(event.kind()), name_of(registry_[record].status),
                      registry_[record].erased ? " and erased" : ""),
          record);
}

void Replay::check_raise(uint32_t record) {
  if (records_[record].valid_until != 0 && records_[record].valid_until < time_)
    fault("status.valid-until", "The record has expired.", record);
  const auto bad = [&](uint32_t ancestor) {
    const Status status = registry_[ancestor].status;
    return status == Status::kSuspended || status == Status::kRevoked;
  };
  const std::optional<uint32_t> ancestor = lineage_.ancestor(record, bad, [](uint32_t) { return true; });
  if (ancestor)
    fault("status.ancestor",
          fmt::format("The record descends from {}, which is {}.", hex(view(records_.id(*ancestor))),
                      name_of(registry_[*ancestor].status)),
          record);
}

// --- the ledger's own: keys, policies

void Replay::genesis(const Event& event) {
  begun_ = true;
  agent_ = event.text(kAgent);
  if (event.text(kOrigin) != origin_)
    fault("event.genesis", fmt::format("The ledger is of {}, its checkpoint of {}.", printable(event.text(kOrigin)),
                                       printable(origin_)));
  const cbor::Item* pair = event.item(kKeys).first();
  for (uint64_t i = 0; i < event.item(kKeys).number; ++i, pair = pair->next()) {
    const uint64_t role = pair->first()->number;
    const std::string_view vkey = pair->first()->next()->text;
    if (role < 1 || role > 5) {
      fault("key.form", fmt::format("There is no role {}.", role));
      continue;
    }
    const std::string error = keys_.add(vkey, static_cast<Role>(role), origin_);
    if (!error.empty()) fault("key.form", error);
  }
  const std::optional<Policy> policy = parse_policy(event.item(kPolicyField));
  if (!policy)
    return fault("policy.form", "The policy does not have the fields 1 to 9 with numbers that they may have.");
  policy_ = *policy;
}

void Replay::key(const Event& event) {
  Note note;
  const std::optional<Statement> statement = this->statement(event, "key", std::nullopt, note);
  if (!statement) return;
  need_signers(note, Role::kRoot, policy_.signatures_root);
  const std::optional<Role> role = role_of(statement->at("role"));
  const std::string_view action = statement->at("action");
  if (!role || (action != "add" && action != "retire"))
    return fault("statement.form", "The statement's role or action is none that there is.");
  const std::string error =
      action == "add" ? keys_.add(statement->at("vkey"), *role, origin_) : keys_.retire(statement->at("vkey"), *role);
  if (!error.empty()) fault("key.form", error);
}

void Replay::policy(const Event& event) {
  Note note;
  const std::optional<Statement> statement = this->statement(event, "policy", policy_event_, note);
  if (statement) {
    need_signers(note, Role::kRoot, policy_.signatures_root);
    if (statement->at("policy") != hex(event.item(kPolicyField).raw))
      fault("statement.field", "The statement's policy is not the event's.");
  }
  const std::optional<Policy> policy = parse_policy(event.item(kPolicyField));
  if (!policy)
    return fault("policy.form", "The policy does not have the fields 1 to 9 with numbers that they may have.");
  policy_ = *policy;
  policy_event_ = index_;
}

// --- up

void Replay::compile(const Event& event) {
  const uint32_t record = record_of(event, kRecord, true);
  if (record == Records::kNone) return;
  need(is_anchor(registry_[record].status), event, record);
  check_raise(record);
  if ((records_[record].influence & kPin) == 0) fault("status.influence", "The record may not be pinned.", record);
  registry_.compile(record, std::min<uint64_t>(event.number(kTokens), UINT32_MAX));
  const Status status = registry_[record].status;
  if (status != Status::kCompiled && status != Status::kActive) registry_.set(record, Status::kCompiled, index_);
}

void Replay::activate(const Event& event) {
  const uint32_t record = record_of(event, kRecord, true);
  // The next set begins where the digest is another one, or an anchor comes again.
  if (anchor_set_ && (*anchor_set_ != event.hash(kAnchorSet) || activated_once_.contains(record))) end_activation();
  anchor_set_ = event.hash(kAnchorSet);
  activated_.push_back(record);
  activated_once_.insert(record);
  if (record == Records::kNone) return;
  need(registry_[record].status == Status::kCompiled || registry_[record].status == Status::kActive, event, record);
  check_raise(record);
  if ((records_[record].influence & kPin) == 0) fault("status.influence", "The record may not be pinned.", record);
  if (registry_[record].status == Status::kActive) return;
  registry_.set(record, Status::kActive, index_);
  if (registry_.tokens_active() > policy_.anchor_tokens)
    fault("status.tokens",
          fmt::format("All active anchors have {} tokens, and may have {}.", registry_.tokens_active(),
                      policy_.anchor_tokens),
          record);
}

void Replay::end_activation() {
  if (anchor_set_) {
    std::string set;
    cbor::put_head(set, cbor::Type::kArray, activated_.size());
    bool known = true;
    for (uint32_t record : activated_) {
      known = known && record != Records::kNone;
      if (known) cbor::put_bytes(set, view(records_.id(record)));
    }
    if (known && digest("anchor-set", set) != *anchor_set_)
      fault("anchor.set",
            fmt::format("The digest of the anchor set is not that of the {} that were activated.", activated_.size()));
  }
  anchor_set_.reset();
  activated_.clear();
  activated_once_.clear();
}

void Replay::release(const Event& event) {
  const uint32_t record = record_of(event, kRecord, true);
  if (record == Records::kNone) return;
  Note note;
  if (const std::optional<Statement> statement = this->statement(event, "release", registry_[record].changed, note)) {
    need_digest(*statement, "record", event, kRecord);
    need_signers(note, Role::kApprover, approvals(record));
  }
  const Row& row = registry_[record];
  need(row.status == Status::kSuspended, event, record);
  check_raise(record);
  if (row.status == Status::kSuspended) registry_.set(record, row.before, index_);
}

void Replay::supersede(const Event& event) {
  const uint32_t old = record_of(event, kRecord, true), successor = record_of(event, kOther, true);
  if (old == Records::kNone || successor == Records::kNone) return;
  Note note;
  const uint64_t changed = std::max(registry_[old].changed, registry_[successor].changed);
  if (const std::optional<Statement> statement = this->statement(event, "supersede", changed, note)) {
    need_digest(*statement, "record", event, kRecord);
    need_digest(*statement, "successor", event, kOther);
    need_signers(note, Role::kApprover, policy_.signatures);
  }
  need(is_anchor(registry_[old].status), event, old);
  const uint32_t named = records_[successor].supersedes;
  if (!is_anchor(registry_[successor].status) || successor == old || (named != Records::kNone && named != old))
    fault("status.successor", "The successor is no other anchor in force, or supersedes another one.", successor);
  registry_.set(old, Status::kSuperseded, index_);
}

// --- down

void Replay::suspend(const Event& event) {
  const uint32_t record = record_of(event, kRecord, true);
  if (record == Records::kNone) return;
  need(is_live(registry_[record].status), event, record);
  if (!check_cause(event, record))
    fault("status.cause", "The cause is no record that this one descends from and that has fallen.", record);
  if (is_live(registry_[record].status)) registry_.set(record, Status::kSuspended, index_);
}

// A cause of 64 hex digits is a record.
bool Replay::check_cause(const Event& event, uint32_t record) {
  const std::optional<std::string> id = from_hex(event.text(kCause));
  if (!id || id->size() != 32) return true;
  const uint32_t cause = records_.find(to_hash(*id));
  if (cause == Records::kNone || registry_[cause].status == Status::kNone || is_live(registry_[cause].status))
    return false;
  if (revoked_ == cause) return true;  // check_cascade() has seen that it is awaited
  // What was there before the cause does not descend from it.
  const auto within = [&](uint32_t ancestor) { return registry_[ancestor].brought > registry_[cause].brought; };
  const auto is_cause = [&](uint32_t ancestor) { return ancestor == cause; };
  return lineage_.ancestor(record, is_cause, within).has_value() || lineage_.exhausted();
}

void Replay::revoke(const Event& event) {
  const uint32_t record = record_of(event, kRecord, true);
  if (record == Records::kNone) return;
  if (event.has(kNote)) {
    Note note;
    if (const std::optional<Statement> statement = this->statement(event, "revoke", registry_[record].changed, note)) {
      need_digest(*statement, "record", event, kRecord);
      bool wrong = false;
      if (signers(note, Role::kOperator, wrong).empty() || wrong) {
        if (wrong && signers(note, Role::kApprover, wrong).size() < policy_.signatures)
          fault("statement.signature", "A signature of an operator is wrong.", record);
        else need_signers(note, Role::kApprover, policy_.signatures);
      }
    }
  } else {
    std::string error;
    const std::optional<OverrideCommand> command = parse_override(event.text(kCommand), error);
    if (!override_commands_.contains(sha256({event.text(kCommand)})))
      fault("override.unknown", "No OVERRIDE event has brought this command.", record);
    else if (command && (command->command != "REVOKE" || command->argument != hex(event.text(kRecord))))
      fault("override.target", "The command is not to revoke this record.", record);
  }
  const Status status = registry_[record].status;
  need(status != Status::kRevoked && status != Status::kExpired, event, record);
  registry_.set(record, Status::kRevoked, index_);
  revoked_ = record;
  lineage_.descendants(record, [&](uint32_t child) {
    const Row& row = registry_[child];
    // What has fallen before has taken its descendants with it.
    if (row.status == Status::kNone || row.fallen) return false;
    registry_.fall(child);
    if (is_live(row.status)) awaited_.insert(child);
    return true;
  });
}

// While a REVOKE waits, the next events are the SUSPENDs that follow from it.
void Replay::check_cascade(const Event& event) {
  if (!revoked_) return;
  if (event.kind() == EventKind::kSuspend && event.text(kCause) == hex(view(records_.id(*revoked_)))) {
    const uint32_t record = records_.find(event.hash(kRecord));
    if (awaited_.erase(record) != 0) return;
  }
  end_cascade();
}

void Replay::end_cascade() {
  if (revoked_ && !awaited_.empty())
    fault("status.cascade",
          fmt::format(
              "REVOKE of {} is not followed by SUSPEND of this record, which descends from it ({} are missing in all).",
              hex(view(records_.id(*revoked_))), awaited_.size()),
          *awaited_.begin());
  revoked_.reset();
  awaited_.clear();
}

void Replay::expire(const Event& event) {
  const uint32_t record = record_of(event, kRecord, true);
  if (record == Records::kNone) return;
  const Status status = registry_[record].status;
  need(is_live(status) || status == Status::kSuspended, event, record);
  if (records_[record].valid_until == 0 || records_[record].valid_until >= event.time())
    fault("status.expire", "The record has not expired.", record);
  registry_.set(record, Status::kExpired, index_);
}

void Replay::erase(const Event& event) {
  const uint32_t record = record_of(event, kRecord, true);
  if (record == Records::kNone) return;
  need(registry_[record].status != Status::kActive && !registry_[record].erased, event, record);
  registry_.erase(record, index_);
}

// --- what changes no status

void Replay::receipt(const Event& event) {
  const cbor::Item* id = event.item(kIds).first();
  const cbor::Item* score = event.item(kScores).first();
  const cbor::Item* last_id = nullptr;
  std::optional<int64_t> last_score;
  for (uint64_t i = 0; i < event.item(kIds).number; ++i, id = id->next(), score = score->next()) {
    const auto number = static_cast<int64_t>(score->number);
    const int64_t value = score->type == cbor::Type::kNegative ? -1 - number : number;
    if (last_score && (value > *last_score || (value == *last_score && id->text <= last_id->text)))
      fault("receipt.order", "The records are not in the order of their scores and ids.");
    last_score = value;
    last_id = id;
    const uint32_t record = records_.find(to_hash(id->text));
    if (record == Records::kNone || registry_[record].status == Status::kNone) {
      report_.fault("status.unknown", "No event before this one has brought the record.",
                    {.event = index_, .record = to_hash(id->text)});
      continue;
    }
    if (!is_live(registry_[record].status))
      fault("receipt.status", fmt::format("A record that is {} was given out.", name_of(registry_[record].status)),
            record);
    if (records_[record].readable && records_.name(records_[record].principal) != event.text(kPrincipal))
      fault("receipt.scope",
            fmt::format("The record of another principal was given to {}.", printable(event.text(kPrincipal))), record);
  }
}

void Replay::range(const Event& event) {
  const bool back = event.kind() == EventKind::kRollback;
  if (back ? event.number(kTo) > event.number(kFrom) : event.number(kFrom) > event.number(kTo))
    fault("event.range", back ? "It goes back to a later token." : "It ends before its first token.");
  if (!back) {
    commits_.emplace(index_, event.hash(kTokenIds));
    return;
  }
  const cbor::Item* id = event.item(kIds).first();
  for (uint64_t i = 0; i < event.item(kIds).number; ++i, id = id->next()) {
    const uint32_t record = records_.find(to_hash(id->text));
    if (record == Records::kNone || registry_[record].status == Status::kNone)
      report_.fault("status.unknown", "No event before this one has brought the record.",
                    {.event = index_, .record = to_hash(id->text)});
  }
}

void Replay::override_command(const Event& event) {
  std::string error;
  const std::optional<OverrideCommand> command = parse_override(event.text(kCommand), error);
  if (!command) return fault("override.form", "This is no command of the override. " + error);
  if (!command->agent.empty() && command->agent != agent_)
    fault("override.agent", fmt::format("The command is for {}.", printable(command->agent)));
  if (override_counter_ && command->counter <= *override_counter_)
    fault("override.counter",
          fmt::format("The command has the counter {}, one before it had {}.", command->counter, *override_counter_));
  override_counter_ = std::max(override_counter_.value_or(0), command->counter);
  override_commands_.insert(sha256({event.text(kCommand)}));
}

void Replay::state(const Event& event) {
  if (!unknown_.empty()) return;  // rows are missing, and reported
  if (event.number(kRows) != registry_.rows())
    fault("state.rows", fmt::format("The registry has {} rows, STATE says {}.", registry_.rows(), event.number(kRows)));
  const std::optional<Hash> root = registry_.root();
  if (!root) {
    ++states_skipped_;
    return;
  }
  ++states_compared_;
  if (*root != event.hash(kRoot)) fault("state.root", "The registry's root is not the one that STATE says.");
}

}  // namespace fieldprint::verify
