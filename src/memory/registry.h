// The status of every record: a pure fold over the ledger's events, and the table of what may follow what. Down is
// automatic, up is signed. The registry is never stored: whoever opens a memory folds it anew from a ledger whose root
// a signature covers, so there is nothing beside the ledger that could be edited.
//
// One thread at a time; readers may share it while nobody applies events.
#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ledger/note.h"
#include "memory/event.h"
#include "memory/policy.h"
#include "memory/statement.h"

namespace fieldprint::memory {

enum class Status {
  kAdmitted = 1,
  kProposed,
  kEndorsed,
  kCompiled,
  kActive,
  kSuspended,
  kSuperseded,
  kRevoked,
  kExpired
};
inline constexpr int kStatuses = 9;
std::string_view status_name(Status status);  // "ADMITTED"
bool is_live(Status status);                  // may still become something: not suspended, superseded, revoked, expired
bool is_anchor(Status status);                // endorsed, compiled, active: signed for

struct Row {
  RecordKind kind = RecordKind::kObservation;
  Integrity integrity = Integrity::kHostile;
  Status status = Status::kAdmitted;
  std::optional<Status> before = {};  // of SUSPENDED
  int64_t brought = 0;                // the event that brought the record,
  int64_t changed = 0;                // and the last that changed it
  std::optional<int64_t> valid_until = {};
  bool erased = false;
  bool operator==(const Row&) const = default;
};
ledger::Bytes encode_row(const RecordId& id, const Row& row);

enum class KeyRole { kRoot = 1, kOperator, kApprover, kLog, kWitness };
std::string_view role_name(KeyRole role);   // "root"
KeyRole role_named(std::string_view name);  // Error kUsage

struct Key {
  KeyRole role;
  ledger::VerifierKey verifier;
  bool retired = false;
  int64_t changed = 0;  // the event
};

struct IdHash {
  size_t operator()(const RecordId& id) const {  // ids are digests already
    size_t value;
    std::memcpy(&value, id.data(), sizeof value);
    return value;
  }
};

class Registry {
 public:
  using Rows = std::unordered_map<RecordId, Row, IdHash>;

  // The event at `index`, the next one. Throws Error kUnsupported, naming the rule, for one that may not come now;
  // nothing is changed then. The first must be GENESIS.
  void apply(int64_t index, const Event& event);

  int64_t size() const { return size_; }  // events so far
  int64_t time() const { return time_; }  // of the last one; no later one may be before it
  const std::string& origin() const { return origin_; }
  const std::string& agent() const { return agent_; }
  const Policy& policy() const { return policy_; }
  int64_t policy_index() const { return policy_index_; }
  const std::vector<Key>& keys() const { return keys_; }

  const Row* find(const RecordId& id) const;
  const Row& row(const RecordId& id) const;  // Error kNotFound
  const Rows& rows() const { return rows_; }
  int64_t count(Status status) const { return counts_[static_cast<size_t>(status)]; }
  // OVERRIDE events so far, and the command of the last: how far the ledger has what the override accepted.
  int64_t overrides() const { return overrides_; }
  const std::string& last_override() const { return last_override_; }
  const std::vector<RecordId>& endorsed() const { return endorsed_; }  // all anchors there ever were, the oldest first
  std::vector<RecordId> sorted_ids() const;
  // RFC 6962 root over the rows, sorted by id.
  Digest root() const;

  // The statement of a note, checked as far as the registry knows: this ledger, not of the future, nothing changed
  // since, enough different keys of the role in force. `record`: whose last change counts. Error kUnsupported.
  Statement check(const ledger::Note& note, std::string_view action, KeyRole role, int64_t signatures) const;
  // Whether a REVOKE may come now; as apply() would.
  void check_revoke(const Event& event) const;
  // Signatures of approvers that raising this record needs; of an anchor its candidate counts. Where a record's sources
  // are "any", which is not known here, the gateway asks for approvals_external too.
  int64_t approvals(const RecordId& id) const;
  const RecordId& candidate_of(const RecordId& id) const;  // of an anchor; else `id` itself

 private:
  void bring(int64_t index, const RecordId& id, Row row);
  Row& known(const RecordId& id);
  void move(Row& row, Status to, int64_t index);
  void genesis(const Event& event);
  void change_key(int64_t index, const Event& event);
  void change_policy(int64_t index, const Event& event);
  void endorse(int64_t index, const Event& event);
  void supersede(int64_t index, const Event& event);
  void revoke(int64_t index, const Event& event);

  int64_t size_ = 0;
  std::string origin_, agent_;
  Policy policy_;
  int64_t policy_index_ = 0;
  std::vector<Key> keys_;
  Rows rows_;
  std::vector<RecordId> endorsed_;
  std::unordered_map<RecordId, RecordId, IdHash> candidates_;  // of anchors
  int64_t overrides_ = 0;
  std::string last_override_;
  int64_t time_ = 0;  // of the last event
  int64_t counts_[kStatuses + 1] = {};
};

}  // namespace fieldprint::memory
