// A ledger's events replayed in their order: which may follow on which, what each has to say, who has to have signed
// it, what status it gives to which record (docs/formats/memory.md). Every rule of that page that concerns more than
// one event or record is held here. Where one is broken the event is replayed nevertheless, so that one fault is not
// reported a thousand times.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "events.h"
#include "lineage.h"
#include "note.h"
#include "policy.h"
#include "records.h"
#include "registry.h"
#include "report.h"
#include "statements.h"

namespace fieldprint::verify {

class Replay {
 public:
  // All of them must outlive it. `origin` is the checkpoint's.
  Replay(const Records& records, std::string origin, Report& report);

  void event(uint64_t index, std::string_view leaf);
  // After the last event. `complete`: none was missing.
  void end(bool complete);

  const KeyRing& keys() const { return keys_; }
  const Registry& registry() const { return registry_; }
  const std::array<uint64_t, 22>& counts() const { return counts_; }  // of events by their number
  uint64_t signatures() const { return signatures_; }                 // of statements, checked and right
  uint64_t states_compared() const { return states_compared_; }
  uint64_t states_skipped() const { return states_skipped_; }
  const std::map<uint64_t, Hash>& commits() const { return commits_; }  // digests of token ids, by the COMMIT's index
  bool lineage_exhausted() const { return lineage_.exhausted(); }

 private:
  // By event (replay.cpp).
  void genesis(const Event& event);
  void key(const Event& event);
  void policy(const Event& event);
  void compile(const Event& event);
  void activate(const Event& event);
  void suspend(const Event& event);
  void release(const Event& event);
  void supersede(const Event& event);
  void revoke(const Event& event);
  void expire(const Event& event);
  void erase(const Event& event);
  void receipt(const Event& event);
  void range(const Event& event);
  void override_command(const Event& event);
  void state(const Event& event);

  // Records as they come (admission.cpp).
  void bring(const Event& event);
  void endorse(const Event& event);
  bool check_new(uint32_t record, const Event& event);
  void check_lineage(uint32_t record, bool anchor);
  void check_anchor(uint32_t anchor, uint32_t candidate, const Statement& statement, const std::vector<Vkey>& signers);

  // What several events need.
  void fault(std::string_view rule, std::string what) { report_.fault(rule, std::move(what), {.event = index_}); }
  void fault(std::string_view rule, std::string what, uint32_t record) {
    report_.fault(rule, std::move(what), {.event = index_, .record = records_.id(record)});
  }
  // The record that a field names, kNone after a fault where there is none, or none that an event has brought.
  uint32_t record_of(const Event& event, Field field, bool brought);
  // "status.transition" unless `allowed`.
  void need(bool allowed, const Event& event, uint32_t record);
  // "status.valid-until" and "status.ancestor" where the record may not be raised now.
  void check_raise(uint32_t record);
  void check_cascade(const Event& event);
  void end_cascade();
  void end_activation();
  bool check_cause(const Event& event, uint32_t record);

  // Statements (signing.cpp).
  // The event's note as the statement `action`, with what every statement has to say; nothing after a fault that leaves
  // nothing to compare. `changed`: the last event on what it is about.
  std::optional<Statement> statement(const Event& event, std::string_view action, std::optional<uint64_t> changed,
                                     Note& note);
  // "statement.record" unless the statement's digest of this name is the event's.
  void need_digest(const Statement& statement, std::string_view name, const Event& event, Field field);
  // Keys of the role in force that have signed; `wrong` where one of them did so wrongly.
  std::vector<Vkey> signers(const Note& note, Role role, bool& wrong);
  // The same with the faults "statement.signature" and "statement.quorum" unless `needed` have.
  std::vector<Vkey> need_signers(const Note& note, Role role, uint64_t needed);
  uint64_t approvals(uint32_t record) const;

  const Records& records_;
  std::string origin_;
  Report& report_;
  Registry registry_;
  Lineage lineage_;
  KeyRing keys_;
  Policy policy_;
  uint64_t policy_event_ = 0;
  std::string agent_;
  bool begun_ = false;  // GENESIS was there

  Event event_;
  uint64_t index_ = 0;
  uint64_t time_ = 0;
  std::array<uint64_t, 22> counts_ = {};
  uint64_t signatures_ = 0, states_compared_ = 0, states_skipped_ = 0;
  std::unordered_set<std::string> unknown_;  // ids that an event brought and the export has no record of

  // A REVOKE waits for the SUSPENDs of what descends from it.
  std::optional<uint32_t> revoked_;
  std::set<uint32_t> awaited_;
  // ACTIVATEs of one anchor set, as they follow each other.
  std::vector<uint32_t> activated_;
  std::unordered_set<uint32_t> activated_once_;
  std::optional<Hash> anchor_set_;

  std::map<uint64_t, Hash> commits_;
  std::optional<uint64_t> override_counter_;
  std::set<Hash> override_commands_;  // digests of their texts
};

}  // namespace fieldprint::verify
