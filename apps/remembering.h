// A memory beside a session: what run and chat make of --memory.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "fieldprint/chat.h"
#include "fieldprint/memory_context.h"
#include "fieldprint/session.h"
#include "options.h"

namespace fieldprint::cli {

struct MemoryChoice {
  std::string directory;  // "" = none
  std::string principal = "user";
  std::string conversation;  // "" = a new one
};

void add_memory_choice(CLI::App& app, MemoryChoice& choice);  // --memory, --principal

// Through the daemon where one answers for the directory, else in this process. Throws as open_memory().
std::shared_ptr<MemoryCalls> reach_memory(const std::string& directory);

// Recalls for each question, pins the anchors, and takes back from the session what falls while it works. One thread;
// the session outlives it.
class Remembering {
 public:
  Remembering(const MemoryChoice& choice, Session& session, bool content_specials);
  ~Remembering();

  // Sets or renews the session's anchor where the anchors in force have changed. Throws as Session::set_anchor().
  void pin(const Progress& progress);
  // Messages for the place before the question.
  std::vector<Message> recall(const std::string& question) { return context_.recall(question); }
  // What the last answer made of each record: "3fa2c1d09b7e EXTERNAL 12.4 %", one a line; "" where none was there.
  std::string used(const Generation& answer) const;
  MemoryContext& context() { return context_; }
  const std::string& conversation() const { return conversation_; }

 private:
  void watch();

  Session& session_;
  const bool content_specials_;
  const std::string conversation_;
  std::shared_ptr<MemoryCalls> calls_;
  MemoryContext context_;
  std::mutex mutex_;
  std::vector<std::string> pinned_;  // ids; under the mutex
  std::atomic<bool> stopping_{false};
  std::thread watcher_;
};

}  // namespace fieldprint::cli
