// The server beside an agent's memory: what it recalls enters prompts, anchors are pinned for all requests, what falls
// is taken back before the next step, and what answers have read and said is committed to the ledger before tool calls
// leave.
//
// Any thread.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "fieldprint/chat.h"
#include "fieldprint/memory_calls.h"
#include "fieldprint/memory_commits.h"
#include "fieldprint/memory_context.h"
#include "fieldprint/scheduler.h"

namespace fieldprint::server {

class ServiceMemory {
 public:
  // `ring` is the scheduler's. Throws as MemoryCalls::call.
  ServiceMemory(std::shared_ptr<MemoryCalls> memory, std::string principal, Scheduler& scheduler,
                std::shared_ptr<BoundaryRing> ring, std::shared_ptr<const Model> model);
  // Speaks to the scheduler no more. To be called before that ends, which hands over the last boundaries and closes the
  // ring; all that it has handed over is committed then, before this ends.
  void leave_scheduler();
  ~ServiceMemory();  // after the scheduler

  // What a request is given.
  struct Given {
    std::string session;
    std::vector<Message> messages;       // for the place before the question
    std::vector<LabelledTokens> anchor;  // what its prompt begins with
  };
  Given give(const std::string& principal, const std::string& domain, std::string_view question);

  // Waits until the boundary is signed: what the answer asks for may leave then. Throws Error kIo.
  void wait_signed(uint64_t stream, int answer, uint64_t boundary) { commits_.wait_signed(stream, answer, boundary); }
  bool fallen(const std::string& source) const;

  const std::string& principal() const { return principal_; }  // of requests without an API key

 private:
  struct Pinned {
    std::vector<std::string> ids;
    std::vector<LabelledTokens> spans;
    uint64_t anchor = 0;
  };

  void watch();
  std::vector<LabelledTokens> anchor(const std::string& principal, const std::string& domain);

  const std::shared_ptr<MemoryCalls> memory_;
  const std::string principal_;
  Scheduler& scheduler_;
  const std::shared_ptr<BoundaryRing> ring_;
  const std::shared_ptr<const Model> model_;
  MemoryCommits commits_;
  std::atomic<uint64_t> sessions_{0};

  mutable std::mutex mutex_;  // of what follows
  std::set<std::string> fallen_;
  std::map<std::pair<std::string, std::string>, Pinned> pinned_;  // by principal and domain

  std::atomic<bool> stopping_{false};
  std::thread watcher_;
};

}  // namespace fieldprint::server
