#include "memory/registry.h"

#include <algorithm>
#include <set>

#include "fieldprint/error.h"
#include "ledger/merkle.h"

namespace fieldprint::memory {

namespace {

constexpr std::string_view kStatusNames[] = {"",       "ADMITTED",  "PROPOSED",   "ENDORSED", "COMPILED",
                                             "ACTIVE", "SUSPENDED", "SUPERSEDED", "REVOKED",  "EXPIRED"};
constexpr std::string_view kRoleNames[] = {"", "root", "operator", "approver", "log", "witness"};

[[noreturn]] void refuse(const std::string& what, const std::string& rule) {
  throw Error(ErrorKind::kUnsupported, what + " (" + rule + ")");
}

void need(bool allowed, const std::string& what, const std::string& rule) {
  if (!allowed) refuse(what, rule);
}

std::string is(const Row& row) { return "the record is " + std::string(status_name(row.status)); }

Row row_of(const Event& event, Status status) {
  Row row;
  row.kind = static_cast<RecordKind>(event.at(Field::kRecordKind).integer(1, 5));
  row.integrity = static_cast<Integrity>(event.at(Field::kIntegrity).integer(0, 5));
  row.status = status;
  if (const ledger::Value* valid = event.find(Field::kValidUntil)) row.valid_until = valid->integer(1, INT64_MAX);
  need((row.kind == RecordKind::kAnchor) == (status == Status::kProposed),
       "an anchor begins as a proposal, and nothing else does", "T3");
  need(row.integrity <= kind_integrity(row.kind), "a record of this kind cannot have that integrity", "label rule");
  return row;
}

void need_valid(const Row& row, int64_t time) {
  need(!row.valid_until || time <= *row.valid_until, "the record has expired", "T11");
}

ledger::Note note_of(const Event& event) { return ledger::parse_note(event.at(Field::kNote).text()); }

}  // namespace

std::string_view status_name(Status status) { return kStatusNames[static_cast<int>(status)]; }
bool is_live(Status status) { return status <= Status::kActive; }
bool is_anchor(Status status) { return status >= Status::kEndorsed && status <= Status::kActive; }
std::string_view role_name(KeyRole role) { return kRoleNames[static_cast<int>(role)]; }

KeyRole role_named(std::string_view name) {
  const auto found = std::ranges::find(kRoleNames, name);
  if (name.empty() || found == std::end(kRoleNames)) {
    throw Error(ErrorKind::kUsage, "there is no role " + std::string(name) + " of keys", {},
                "root, operator, approver, log or witness");
  }
  return static_cast<KeyRole>(found - std::begin(kRoleNames));
}

ledger::Bytes encode_row(const RecordId& id, const Row& row) {
  ledger::Map map{{1, ledger::ByteView(id)},
                  {2, static_cast<int64_t>(row.kind)},
                  {3, static_cast<int64_t>(row.integrity)},
                  {4, static_cast<int64_t>(row.status)},
                  {6, row.brought},
                  {7, row.changed}};
  if (row.before) map.set(5, static_cast<int64_t>(*row.before));
  if (row.valid_until) map.set(8, *row.valid_until);
  if (row.erased) map.set(9, 1);
  return ledger::encode(map);
}

const Row* Registry::find(const RecordId& id) const {
  const auto found = rows_.find(id);
  return found == rows_.end() ? nullptr : &found->second;
}

const Row& Registry::row(const RecordId& id) const {
  const Row* row = find(id);
  if (!row) throw Error(ErrorKind::kNotFound, "there is no record " + hex(id));
  return *row;
}

Row& Registry::known(const RecordId& id) { return const_cast<Row&>(row(id)); }

std::vector<RecordId> Registry::sorted_ids() const {
  std::vector<RecordId> ids;
  ids.reserve(rows_.size());
  for (const auto& [id, row] : rows_) ids.push_back(id);
  std::ranges::sort(ids);
  return ids;
}

Digest Registry::root() const {
  ledger::MerkleTree tree;
  for (const RecordId& id : sorted_ids()) tree.append(ledger::leaf_hash(encode_row(id, row(id))));
  return tree.root();
}

const RecordId& Registry::candidate_of(const RecordId& id) const {
  const auto found = candidates_.find(id);
  return found == candidates_.end() ? id : found->second;
}

int64_t Registry::approvals(const RecordId& id) const {
  const bool external = row(candidate_of(id)).integrity < Integrity::kUser;
  return external ? std::max(policy_.approvals, policy_.approvals_external) : policy_.approvals;
}

void Registry::move(Row& row, Status to, int64_t index) {
  --counts_[static_cast<size_t>(row.status)];
  ++counts_[static_cast<size_t>(to)];
  row.before = to == Status::kSuspended ? std::optional(row.status) : std::nullopt;
  row.status = to;
  row.changed = index;
}

void Registry::bring(int64_t index, const RecordId& id, Row row) {
  row.brought = row.changed = index;
  ++counts_[static_cast<size_t>(row.status)];
  rows_.emplace(id, row);
}

Statement Registry::check(const ledger::Note& note, std::string_view action, KeyRole role, int64_t signatures) const {
  Statement statement = parse_statement(note.text);
  need(statement.action == action, "the statement is to " + statement.action, "statements");
  need(statement.at("log") == origin_ && statement.at("agent") == agent_, "the statement is for another memory",
       "statements");
  need(statement.number("size") <= size_, "the statement is of a ledger that is longer than this one", "statements");
  std::vector<ledger::VerifierKey> keys;
  for (const Key& key : keys_) {
    if (key.role == role && !key.retired) keys.push_back(key.verifier);
  }
  // Keys that are not of the role count as unknown: verify_note() passes over them.
  size_t signers = 0;
  if (std::ranges::any_of(note.signatures, [&](const ledger::NoteSignature& signature) {
        return std::ranges::any_of(keys, [&](const ledger::VerifierKey& key) { return key.made(signature); });
      })) {
    signers = ledger::verify_note(note, keys).size();
  }
  need(static_cast<int64_t>(signers) >= signatures,
       "the statement has " + std::to_string(signers) + " of " + std::to_string(signatures) + " signatures of " +
           std::string(role_name(role)) + " keys that it needs",
       "k of n");
  return statement;
}

void Registry::genesis(const Event& event) {
  std::vector<Key> keys;
  for (const ledger::Value& item : event.at(Field::kKeys).array()) {
    need(item.array().size() == 2, "a key is not a role and a verifier key", "genesis");
    keys.push_back(
        {static_cast<KeyRole>(item.array()[0].integer(1, 5)), ledger::VerifierKey::parse(item.array()[1].text())});
  }
  std::set<ledger::PublicKey> different;
  for (const Key& key : keys) {
    const bool witness = key.role == KeyRole::kWitness;
    need(key.verifier.type() == (witness ? ledger::KeyType::kCosignature : ledger::KeyType::kEd25519),
         "a key is of another type than its role needs", "keys");
    need(different.insert(key.verifier.key()).second, "a key has two roles or stands there twice", "no set overlaps");
  }
  policy_ = Policy::from_cbor(event.at(Field::kPolicy));
  keys_ = std::move(keys);
  origin_ = event.at(Field::kOrigin).text();
  agent_ = event.at(Field::kAgent).text();
}

void Registry::change_key(int64_t index, const Event& event) {
  const Statement statement = check(note_of(event), "key", KeyRole::kRoot, policy_.root_signatures);
  const ledger::VerifierKey verifier = ledger::VerifierKey::parse(statement.at("vkey"));
  const KeyRole role = role_named(statement.at("role"));
  const auto found = std::ranges::find_if(keys_, [&](const Key& key) { return key.verifier.key() == verifier.key(); });
  if (statement.at("action") == "add") {
    need(found == keys_.end(), "the key is there already, or has been retired", "no set overlaps");
    const bool witness = role == KeyRole::kWitness;
    need(verifier.type() == (witness ? ledger::KeyType::kCosignature : ledger::KeyType::kEd25519),
         "the key is of another type than its role needs", "keys");
    keys_.push_back({role, verifier, false, index});
    return;
  }
  need(statement.at("action") == "retire", "a key is added or retired", "statements");
  need(found != keys_.end() && found->role == role && !found->retired, "there is no such key in force", "statements");
  need(statement.number("size") > found->changed, "the key has changed since the statement was written", "statements");
  found->retired = true;
  found->changed = index;
}

void Registry::change_policy(int64_t index, const Event& event) {
  const Statement statement = check(note_of(event), "policy", KeyRole::kRoot, policy_.root_signatures);
  need(ledger::from_hex(statement.at("policy")) == ledger::encode(event.at(Field::kPolicy)),
       "the policy is not the one that was signed", "statements");
  need(statement.number("size") > policy_index_, "the policy has changed since the statement was written",
       "statements");
  policy_ = Policy::from_cbor(event.at(Field::kPolicy));
  policy_index_ = index;
}

void Registry::endorse(int64_t index, const Event& event) {
  Row& candidate = known(event.id());
  const RecordId anchor = event.id(Field::kSuccessor);
  need(candidate.status == Status::kProposed, is(candidate), "T4: only what is PROPOSED is endorsed");
  need_valid(candidate, event.time);
  need(!find(anchor), "the anchor's id is taken", "T4");
  const Statement statement = check(note_of(event), "endorse", KeyRole::kApprover, approvals(event.id()));
  need(statement.digest("record") == event.id(), "the statement is about another record", "statements");
  need(statement.number("size") > candidate.changed, "the record has changed since the statement was written",
       "statements");
  need(statement.number("policy") == policy_index_, "the statement is of another policy", "statements");
  const ledger::Value* valid = event.find(Field::kValidUntil);
  need(statement.number("valid-until") == (valid ? valid->integer(1, INT64_MAX) : 0),
       "the statement says another time of expiry", "statements");
  Row row;
  row.kind = RecordKind::kAnchor;
  row.integrity = Integrity::kEndorsed;
  row.status = Status::kEndorsed;
  if (valid) row.valid_until = valid->integer();
  move(candidate, Status::kSuperseded, index);
  bring(index, anchor, row);
  endorsed_.push_back(anchor);
  candidates_.emplace(anchor, event.id());
}

void Registry::supersede(int64_t index, const Event& event) {
  Row& old = known(event.id());
  const Row& successor = row(event.id(Field::kSuccessor));
  need(is_anchor(old.status), is(old), "T9: only an anchor is superseded");
  need(is_anchor(successor.status) && event.id() != event.id(Field::kSuccessor), "the successor is no anchor", "T9");
  const Statement statement = check(note_of(event), "supersede", KeyRole::kApprover, approvals(event.id()));
  need(statement.digest("record") == event.id() && statement.digest("successor") == event.id(Field::kSuccessor),
       "the statement is about other records", "statements");
  need(statement.number("size") > std::max(old.changed, successor.changed),
       "a record has changed since the statement was written", "statements");
  move(old, Status::kSuperseded, index);
}

void Registry::check_revoke(const Event& event) const {
  const Row& row = this->row(event.id());
  need(row.status != Status::kRevoked && row.status != Status::kExpired, is(row), "T10: it is final");
  need((event.find(Field::kNote) != nullptr) != (event.find(Field::kCommand) != nullptr),
       "a revocation has a statement or a command of the override", "T10");
  if (event.find(Field::kNote)) {
    const ledger::Note note = note_of(event);
    const Statement statement = [&] {
      try {
        return check(note, "revoke", KeyRole::kOperator, 1);
      } catch (const Error&) {
        return check(note, "revoke", KeyRole::kApprover, approvals(event.id()));
      }
    }();
    need(statement.digest("record") == event.id(), "the statement is about another record", "statements");
    need(statement.number("size") > row.changed, "the record has changed since the statement was written",
         "statements");
  }
}

void Registry::revoke(int64_t index, const Event& event) {
  check_revoke(event);
  move(known(event.id()), Status::kRevoked, index);
}

void Registry::apply(int64_t index, const Event& event) {
  need(index == size_, "the event is not the next one", "one fold");
  need(event.time >= time_, "the event is before the one before it", "time");
  need((event.kind == EventKind::kGenesis) == (index == 0), "GENESIS is the first event and no other", "one fold");
  switch (event.kind) {
    case EventKind::kGenesis:
      genesis(event);
      break;
    case EventKind::kKey:
      change_key(index, event);
      break;
    case EventKind::kPolicy:
      change_policy(index, event);
      break;
    case EventKind::kAdmit:
    case EventKind::kQuarantine: {
      need(!find(event.id()), "the record is there already", "T1");
      Row row = row_of(event, Status::kAdmitted);
      if (event.kind == EventKind::kQuarantine) {
        row.before = row.status;
        row.status = Status::kSuspended;
      }
      bring(index, event.id(), row);
      break;
    }
    case EventKind::kPropose: {
      need(!find(event.id()), "the record is there already", "T3");
      const Row row = row_of(event, Status::kProposed);
      need(row.integrity > Integrity::kHostile, "what is HOSTILE cannot be proposed", "T3");
      bring(index, event.id(), row);
      break;
    }
    case EventKind::kEndorse:
      endorse(index, event);
      break;
    case EventKind::kCompile: {
      Row& row = known(event.id());
      need(is_anchor(row.status), is(row), "T5: only an anchor is compiled");
      need_valid(row, event.time);
      if (row.status == Status::kEndorsed) move(row, Status::kCompiled, index);
      break;
    }
    case EventKind::kActivate: {
      Row& row = known(event.id());
      need(row.status == Status::kCompiled || row.status == Status::kActive, is(row),
           "T6: only what is COMPILED becomes ACTIVE");
      need_valid(row, event.time);
      if (row.status == Status::kCompiled) move(row, Status::kActive, index);
      break;
    }
    case EventKind::kSuspend: {
      Row& row = known(event.id());
      need(is_live(row.status), is(row), "T7: only what is live is suspended");
      move(row, Status::kSuspended, index);
      break;
    }
    case EventKind::kRelease: {
      Row& row = known(event.id());
      need(row.status == Status::kSuspended, is(row), "T8: only what is SUSPENDED is released");
      need_valid(row, event.time);
      const Statement statement = check(note_of(event), "release", KeyRole::kApprover, approvals(event.id()));
      need(statement.digest("record") == event.id(), "the statement is about another record", "statements");
      need(statement.number("size") > row.changed, "the record has changed since the statement was written",
           "statements");
      move(row, *row.before, index);
      break;
    }
    case EventKind::kSupersede:
      supersede(index, event);
      break;
    case EventKind::kRevoke:
      revoke(index, event);
      break;
    case EventKind::kExpire: {
      Row& row = known(event.id());
      need(is_live(row.status) || row.status == Status::kSuspended, is(row), "T11");
      need(row.valid_until && event.time > *row.valid_until, "the record is still valid", "T11");
      move(row, Status::kExpired, index);
      break;
    }
    case EventKind::kErase: {
      Row& row = known(event.id());
      need(row.status != Status::kActive, is(row), "T12: what is ACTIVE is revoked or superseded first");
      need(!row.erased, "the payload is erased already", "T12");
      row.erased = true;
      row.changed = index;
      break;
    }
    case EventKind::kOverride:
      ++overrides_;
      last_override_ = event.at(Field::kCommand).text();
      break;
    default:
      break;  // says something, changes no status
  }
  ++size_;
  time_ = event.time;
}

}  // namespace fieldprint::memory
