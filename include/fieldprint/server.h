// A model as an HTTP server: the APIs of OpenAI and Anthropic, a page for people, and what is Fieldprint's own.
// docs/server.md describes what it answers to.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fieldprint/memory_calls.h"
#include "fieldprint/model.h"
#include "fieldprint/sampling.h"
#include "fieldprint/scheduler.h"

namespace fieldprint {

struct ServerOptions {
  // Where it listens: at least one of the two.
  std::string host = "127.0.0.1";                      // "" = no TCP
  int port = 8080;                                     // 0 = any free one
  std::string unix_socket = {};                        // path; only this user may connect
  std::string certificate = {}, certificate_key = {};  // PEM files; TLS where both are given

  // Who may use it.
  std::vector<std::string> keys = {};   // API keys; none = everybody may
  bool isolate_keys = false;            // nothing computed for one key is shared with another
  std::vector<std::string> cors = {};   // origins whose pages may; "*" = all. Those of the server itself always may.
  std::vector<std::string> hosts = {};  // names beside localhost that it may be called by on a loopback address

  // Limits.
  int connections = 1024;
  size_t body_bytes = 64 << 20;
  std::chrono::seconds stuck{30};  // without a step while answers are under way: /health then says so

  // What it serves.
  std::string model_name = {};                     // in replies; "" = the file's
  SamplingOptions sampling = {};                   // where a request says nothing
  SchedulerOptions scheduler = {};                 // context, streams, cache
  std::shared_ptr<const Model> encoder = nullptr;  // answers /v1/embeddings; an encoder as the model does it itself
  std::string data_directory = {};                 // conversations of the page, saved sessions; "" = none are kept
  // What answers may recall and hold to (memory_calls.h); null: nothing. Records are those of the API key that a
  // request brings, "key:" and the first 12 hex digits of its SHA-256, or of memory_principal where it brings none.
  std::shared_ptr<MemoryCalls> memory = nullptr;
  std::string memory_principal = "user";
  bool page = true;                                     // GET / is the page
  std::function<void(std::string_view line)> log = {};  // a line for each request, from any thread
};

class Server {
 public:
  // Listens and answers from here on. Throws Error kUsage (options), kIo (port, data directory), and as Scheduler does.
  Server(std::shared_ptr<const Model> model, const ServerOptions& options);
  ~Server();  // as stop(0)

  int port() const;         // of TCP; 0: none
  std::string url() const;  // "http://127.0.0.1:8080", or "unix:PATH"

  // Takes no more requests; those under way may take `patience`, then they are cut off. Returns when all is still.
  void stop(std::chrono::milliseconds patience);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fieldprint
