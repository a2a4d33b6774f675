// Ended sequences that stay, for prompts that begin like one of them.
//
// In memory they are bounded in bytes: pages and snapshots that several of them share count once, those that they share
// with streams under way count too. The one used longest ago goes first, a pinned one never. A sequence that begins
// another one is dropped, if the longer can go back to its end for few tokens passed again.
//
// With a directory they outlive a restart. A thread writes each to a file (cache_files.h): when nothing runs, after ten
// seconds, or at the end. What memory has no room for stays on disk, within a bound too, and is read back by that
// thread when a prompt begins like it. A file that is damaged or not of this model is never used: the prompt is
// computed anew.
//
// Sequences of different domains never serve each other. Every member may be called from any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "engine/cache_files.h"
#include "engine/stepper.h"
#include "engine/visible_tokens.h"
#include "fieldprint/scheduler.h"

namespace fieldprint {

class PrefixCache {
 public:
  // `loaded` is called after a file was read or refused. Throws Error as CacheFiles does.
  PrefixCache(std::shared_ptr<Stepper> stepper, const SchedulerOptions& options, std::function<void()> loaded);
  ~PrefixCache();  // after all is written
  PrefixCache(const PrefixCache&) = delete;
  PrefixCache& operator=(const PrefixCache&) = delete;

  struct Match {
    uint64_t id = 0;                           // 0: none
    std::shared_ptr<const Sequence> sequence;  // null: it is being read, `loaded` tells
    int shared = 0;                            // tokens that it begins with in common
    int saved = 0;                             // these, without those that must pass again
  };
  // What saves a prompt the most of computing; at most `most` tokens are shared, `more_than` are saved. `labels`: they
  // must be equal too; nothing above `clearance` is shared. What is on disk alone is only looked at where `may_load`.
  Match find(const std::string& domain, const VisibleTokens& prompt, bool labels, int clearance, int most,
             int more_than, bool may_load);
  bool loading(uint64_t id) const;

  // Takes a sequence that has ended; nobody steps it any more. Returns the id of what holds it now; 0: it is too large,
  // or depends on something revoked.
  uint64_t add(const std::string& domain, Sequence sequence, bool pinned = false);

  // Drops what depends on something revoked, pinned or not, with its files: at once.
  void drop_revoked();

  // Memory is short: drops the half that was used longest ago. False where nothing is left to drop.
  bool give_way();

  void idle(bool nothing_runs) { idle_since_ = nothing_runs ? Clock::now().time_since_epoch().count() : kBusy; }

  std::vector<CachedSequence> list() const;  // the latest used first
  std::vector<LabelledTokens> spans(uint64_t id) const;
  void save(uint64_t id, const std::string& path) const;  // Error kNotFound, kIo, kUnsupported
  uint64_t longest(const std::string& domain, std::span<const TokenId> tokens) const;
  bool erase(uint64_t id);
  bool pin(uint64_t id, bool pinned);
  void add_stats(SchedulerStats* stats) const;

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr int64_t kBusy = -1;

  struct File {
    std::string path;
    uint64_t bytes = 0;
  };
  struct Entry {
    uint64_t id = 0;
    std::string domain;
    VisibleTokens text{std::span<const TokenId>()};
    std::shared_ptr<const Sequence> sequence;  // null: on disk alone
    uint64_t epoch = 0;                        // Sequence::epoch
    uint64_t used = 0;                         // larger: later
    std::chrono::system_clock::time_point used_at;
    Clock::time_point added;
    bool pinned = false, loading = false, writing = false, erased = false;
    bool unwritable = false;     // nobody tries again
    File file;                   // no path: none
    std::vector<File> replaces;  // those that this one's makes needless
  };
  using EntryPtr = std::shared_ptr<Entry>;

  // What is to be given back once the mutex is free: giving back pages waits for the step under way.
  struct Dropped {
    std::vector<std::shared_ptr<const Sequence>> sequences;
    std::vector<std::string> files;
  };

  size_t place(const std::string& domain, std::span<const TokenId> tokens) const;
  EntryPtr entry(uint64_t id) const;
  bool revoked(const Entry& entry) const;
  void use(Entry& entry);
  void count(const Sequence& sequence, int holders);
  void forget(const EntryPtr& entry, Dropped* dropped);
  void drop_file(File& file, Dropped* dropped);
  void drop_memory(const EntryPtr& entry, Dropped* dropped);
  void make_room(Dropped* dropped);
  void make_room_on_disk(Dropped* dropped);
  EntryPtr least_used(const std::function<bool(const Entry&)>& which) const;
  void finish(Dropped&& dropped);

  void run();
  void load(std::unique_lock<std::mutex>& lock, const EntryPtr& entry);
  void write(std::unique_lock<std::mutex>& lock, const EntryPtr& entry);
  EntryPtr unwritten() const;

  const std::shared_ptr<Stepper> stepper_;
  const uint64_t max_bytes_, max_disk_bytes_;
  const std::function<void()> loaded_;
  const Sequence nothing_;
  std::unique_ptr<CacheFiles> files_;  // null: no directory
  std::atomic<int64_t> idle_since_{kBusy};

  mutable std::mutex mutex_;              // of what follows
  std::vector<EntryPtr> entries_;         // by domain and tokens
  std::deque<CacheFiles::File> foreign_;  // files that count, but are not for here; the one used longest ago first
  struct Piece {
    int holders = 0;
    int64_t bytes = 0;
  };
  std::unordered_map<const void*, Piece> memory_;
  uint64_t bytes_ = 0, disk_bytes_ = 0, ids_ = 0, uses_ = 0, evictions_ = 0, damaged_ = 0, failed_writes_ = 0;
  std::deque<EntryPtr> to_load_;
  std::vector<std::string> to_touch_, to_remove_;
  bool stopping_ = false;
  std::condition_variable work_;

  std::thread thread_;
};

}  // namespace fieldprint
