// What the endpoints work with: the model, its scheduler, what is kept on disk. Every member may be used from any
// thread.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "fieldprint/embed.h"
#include "fieldprint/grammar_mask.h"
#include "fieldprint/server.h"
#include "server/constraint.h"
#include "server/conversations.h"
#include "server/fields.h"
#include "server/http.h"
#include "server/metrics.h"
#include "server/response_store.h"
#include "server/service_memory.h"

namespace fieldprint::server {

class Service {
 public:
  // Throws as Server's constructor.
  Service(std::shared_ptr<const Model> served, const ServerOptions& given);

  ~Service();

  const ServerOptions options;
  const std::shared_ptr<const Model> model;
  const std::string model_name;
  const std::chrono::system_clock::time_point started = std::chrono::system_clock::now();
  Metrics metrics;
  ResponseStore responses{64 << 20};
  Conversations conversations;  // in memory where there is no data directory

  // Throw ApiError 400 where the model makes vectors, and so writes no text.
  Scheduler& scheduler();
  const ChatTemplate& chat_template() const;  // where it has none, too

  const Tokenizer& tokenizer() const { return model->tokenizer(); }
  int context() const;                   // tokens of a sequence at most
  const std::string& model_hash();       // 64 hex digits: of the file, and of what loading changes in its results
  const std::string& vocabulary_hash();  // as vocabulary_sha256() has it

  // What pages are shared with: everything, or what was computed for the same key.
  std::string cache_domain(const HttpRequest& request) const;

  ServiceMemory* memory() { return memory_ ? &*memory_ : nullptr; }
  std::string memory_principal(const HttpRequest& request) const;

  // For SamplingOptions::mask. Throws Error for a constraint that cannot be held to.
  std::function<std::unique_ptr<TokenMask>()> mask(const Constraint& constraint);

  // For vectors: throws ApiError 400 where there is no encoder. Belongs to whoever holds the lock.
  struct Encoder {
    std::unique_lock<std::mutex> lock;
    Embedder& embedder;
  };
  Encoder encoder();

  // What a response may say of the machine that made it: "fp_..." of program and model.
  std::string fingerprint();

 private:
  std::optional<Scheduler> scheduler_;
  std::optional<ServiceMemory> memory_;  // speaks to the scheduler, and ends after it
  std::optional<Embedder> embedder_;
  std::mutex embedder_mutex_;
  std::mutex grammar_mutex_;  // held while one is made
  std::once_flag vocabulary_once_, vocabulary_hash_once_;
  std::string vocabulary_hash_;
  GrammarVocabularyPtr vocabulary_;
  GrammarCache grammars_;
};

// ---- Replies.

void send_json(HttpReply& reply, const Json& json, int status = 200);
Json unix_time();                             // now, in seconds
std::string new_id(std::string_view prefix);  // "chatcmpl-" and 24 letters and digits, never the same twice

}  // namespace fieldprint::server
