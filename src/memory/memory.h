// An agent's memory: the ledger, the registry folded from it, and the rules of who may change what. What each operation
// does stands in a file of its own: admit.cpp, recall.cpp, promote.cpp, lower.cpp, erase.cpp, explain.cpp, export.cpp;
// calls.cpp gives them to callers as JSON.
//
// Any thread. A decision is taken under one lock, in the order of the ledger; the lock is not held while the disk
// works. What a member returns is durable.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "fieldprint/memory_calls.h"
#include "fieldprint/override.h"
#include "memory/channel.h"
#include "memory/encoder.h"
#include "memory/index.h"
#include "memory/key_file.h"
#include "memory/payload.h"
#include "memory/registry.h"
#include "memory/sessions.h"
#include "memory/shelf.h"
#include "override/flags.h"

namespace fieldprint::memory {

int64_t now_ms();

// Keys of kCodes: those of a principal are neighbours.
ledger::Bytes codes_key(const std::string& principal, ledger::ByteView id);

struct Offer {
  std::string text = {};
  std::string channel = {};
  std::string uri = {}, title = {};
  std::optional<int64_t> valid_until = {};
  std::vector<RecordId> seen = {};  // by its writer, besides what the session has been shown
  std::optional<RecordId> supersedes = {};
  int64_t confidence = 100;
};

struct Admitted {
  RecordId id;
  Row row;
  Label label;
  bool duplicate = false;
  std::string rule;  // why it began SUSPENDED; else empty
};

struct Recalled {
  RecordId id;
  Record record;
  Row row;
  Payload payload;
  int32_t score = 0;
  int tokens = 0;
};
struct Recall {
  std::vector<Recalled> items;
  int tokens = 0;
  int64_t receipt = 0;  // index of the event
};
struct Query {
  std::string text = {};
  int limit = 8;
  int tokens = 1000;                                       // of all items at most
  std::function<int(std::string_view)> count_tokens = {};  // none: a token is taken for 4 bytes
};

struct Submitted {
  EventKind event;
  int64_t index;
  RecordId id;
  std::optional<RecordId> anchor = {};  // of ENDORSE
  std::vector<RecordId> fallen = {};    // suspended along with it
};

// What a run was at one of its boundaries (docs/formats/memory.md, COMMIT).
struct Commit {
  std::string session;
  int64_t boundary = 0;
  std::string cause;
  int64_t from = 0, to = 0;  // tokens
  Digest token_ids = {}, hidden = {}, pages = {}, model = {};
  std::vector<RecordId> anchors, seen;     // records that were visible
  Integrity integrity = Integrity::kUser;  // of what else was
  std::string principal = {};              // whose run it is
  ledger::Bytes replay = {};               // what an audit needs to compute it again
};
// Error kUsage, kBadInput for names that a ledger cannot hold: empty principals, line breaks, more than 256 bytes.
void check_caller(const MemoryCaller& caller);
Digest anchor_set_digest(const std::vector<RecordId>& ids);

// "there is no such record": said alike of what is not there and of what is another principal's.
[[noreturn]] void no_record();

class Memory {
 public:
  // Opens what setup.h made. Errors: memory_calls.h.
  explicit Memory(const MemoryOptions& options);
  ~Memory();

  // ---- admit.cpp
  Admitted admit(const MemoryCaller& caller, const Offer& offer);
  // ---- promote.cpp. A candidate from a text, or from a record.
  Admitted propose(const MemoryCaller& caller, const Offer& offer);
  Admitted propose(const MemoryCaller& caller, const RecordId& id, std::optional<int64_t> valid_until,
                   std::optional<RecordId> supersedes = {});
  Statement statement(std::string_view action, const std::vector<std::pair<std::string, std::string>>& given) const;
  Submitted submit(const ledger::Note& note);
  // Whether an anchor may be pinned now: everything that design section 4 asks of it. What is wrong, or nothing.
  std::optional<std::string> cannot_pin(const RecordId& id) const;
  // ---- engine_events.cpp: what the engine says of itself.
  void compiled(const RecordId& id, const Digest& kv, const Digest& model, const std::string& layout, int64_t tokens);
  void activated(const std::vector<RecordId>& ids);
  int64_t commit(const Commit& commit);  // index of the event
  // What was kept of the commits of a principal, in their order: index and Commit::replay. Those that saw a record
  // which has been erased since are gone.
  void commits_of(const std::string& principal,
                  const std::function<void(int64_t index, const ledger::Bytes& replay)>& each) const;
  // A run went back to where it had seen nothing bad; what it had written since falls.
  int64_t rolled_back(const std::string& session, const std::string& cause, int64_t from, int64_t to, int64_t dropped,
                      const std::vector<RecordId>& written);
  // Records that have fallen, in their order, from number `after` on; waits up to wait_ms for there to be any. Below 0:
  // all that are fallen now. `next` is the `after` of the next call.
  struct Lowered {
    int64_t next = 0;
    std::vector<RecordId> ids;
  };
  Lowered lowered(int64_t after, int wait_ms) const;
  // ---- lower.cpp. Returns what fell with it.
  std::vector<RecordId> suspend(const std::string& actor, const RecordId& id, const std::string& cause);
  void alarm(const std::string& what, const std::string& detail);
  // ---- recall.cpp
  Recall recall(const MemoryCaller& caller, const Query& query);
  std::optional<RecordId> find_exact(const MemoryCaller& caller, std::string_view text) const;
  // Anchors in force, in the order in which they were endorsed.
  std::vector<Recalled> anchors(const MemoryCaller& caller) const;
  // ---- erase.cpp
  // Returns all that lost their text: the record, and what was made of it.
  std::vector<RecordId> erase(const MemoryCaller& caller, const RecordId& id);

  // What is kept of a record, checked: its bytes hash to its id, its text opens and is the one committed to. Error
  // kNotFound, kBadFile.
  Record record(const RecordId& id) const;
  Payload payload(const RecordId& id, const Record& record) const;
  Salt salt(const RecordId& id) const;
  Codes codes(const RecordId& id,
              const Record& record) const;  // Error kNotFound; not compared with the record's digest
  // The one record whose id begins with these hex digits. Error kNotFound, kBadInput where several do.
  RecordId find(std::string_view prefix) const;
  bool visible(const MemoryCaller& caller, const Record& record) const { return record.principal == caller.principal; }
  // Whether anything that it descends from is suspended, revoked or hostile: the first such, or nothing.
  std::optional<RecordId> bad_ancestor(const RecordId& id) const;
  bool is_bad(const RecordId& id) const;

  // Copies of what changes under the lock.
  Row row(const RecordId& id) const;
  template <class Use>
  auto with_registry(Use&& use) const {
    const std::lock_guard lock(mutex_);
    return use(registry_);
  }

  ledger::Ledger& ledger() const { return *ledger_; }
  const std::string& directory() const { return directory_; }
  std::string encoder_name() const { return encoder_->name(); }
  std::string frozen() const;      // why nothing may be written or raised now; empty: it may
  std::string halted() const;      // why nothing may even be recalled
  std::string no_anchors() const;  // why no anchor may be pinned

  // Puts events, applying each to the registry first, and waits until they are durable. For files of this folder.
  int64_t put(std::vector<Event> events, std::vector<ledger::IndexWrite> writes = {});
  // A STATE event of the registry as it is at that very place; returns its index.
  int64_t put_state();
  Event event(EventKind kind, std::string actor) const { return {kind, now_ms(), std::move(actor)}; }  // time: see put

 private:
  struct Prepared;

  void start();
  void resume_shreds();
  void expire_due();
  void check_open() const;  // throws where nothing may be written
  // override_follower.cpp: applies what the override has accepted since, once, in order, and logs it.
  void follow_override();
  std::vector<OverrideEntry> not_logged(std::vector<OverrideEntry> accepted) const;
  void follow_loop();

  Prepared prepare(const MemoryCaller& caller, const Offer& offer, int64_t payload_bytes);
  Admitted bring(const MemoryCaller& caller, Prepared prepared, EventKind kind);
  SessionContext& session(const MemoryCaller& caller);
  Label context_label(const MemoryCaller& caller, const SessionContext* context,
                      const std::vector<RecordId>& lineage) const;
  std::optional<std::string> over_quota(const MemoryCaller& caller, const SourceId& source, int64_t time,
                                        std::vector<ledger::IndexWrite>& writes) const;
  ledger::Bytes text_key(const std::string& principal, RecordKind kind, std::string_view text) const;
  void add_record(const RecordId& id, const Record& record, const Payload& payload, const Salt& salt,
                  const Codes& codes, std::vector<ledger::IndexWrite>& writes);
  int64_t put_locked(std::vector<Event> events, std::vector<ledger::IndexWrite> writes);
  std::vector<RecordId> descendants(const RecordId& id) const;
  void lower_source(std::vector<Event>& events, ledger::ByteView source, std::vector<RecordId>& fallen);
  void lower(std::vector<Event>& events, const RecordId& id, const std::string& cause, std::vector<RecordId>& fallen);
  // Effect, then log: whoever waits for it hears of it before the events are on disk.
  void tell_lowered(const std::vector<RecordId>& fallen);
  static ledger::Bytes anchor_tokens_key(const RecordId& id);
  static ledger::Bytes index_key(int64_t index);  // big-endian: rows come in their order
  void forget_commits(const RecordId& id, std::vector<ledger::IndexWrite>& writes);
  std::optional<std::string> drifts(const Codes& candidate) const;
  Submitted endorse(const ledger::Note& note, const Statement& statement);
  VectorIndex& index_of(const std::string& principal);
  Codes encode(std::string_view text);

  const std::string directory_;
  const bool detectors_;
  const overrides::OverrideFlags override_;
  std::unique_ptr<ledger::Ledger> ledger_;
  std::unique_ptr<Shelf> shelf_;
  std::unique_ptr<KeyFile> keys_;
  Digest text_secret_ = {};  // what kTexts is keyed with

  std::mutex encoder_mutex_;
  std::unique_ptr<Encoder> encoder_;

  mutable std::mutex mutex_;  // of what follows
  Registry registry_;
  int64_t next_place_ = 0;  // of a payload key
  std::map<std::string, SessionContext> sessions_;
  std::map<std::string, VectorIndex> indexes_;       // by principal; each is read at its first use
  std::set<std::pair<int64_t, RecordId>> expiring_;  // by time
  std::vector<RecordId> lowered_;                    // since the start
  mutable std::condition_variable lowered_more_;

  std::string broken_;  // why nothing goes on: the registry is ahead of a ledger that refuses

  std::mutex follow_mutex_;  // of what follows
  std::condition_variable follow_wake_;
  bool stopping_ = false;
  std::thread follower_;
};

}  // namespace fieldprint::memory
