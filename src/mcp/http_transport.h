// Streamable HTTP on this machine, at /mcp, for both eras:
// https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http (each request on its own),
// https://modelcontextprotocol.io/specification/2025-11-25/basic/transports (sessions: Mcp-Session-Id, GET, DELETE).
//
// Pages that a browser shows cannot use it: hosts and origins that are not this machine are refused (DNS rebinding), a
// request has to be application/json, and no page is ever told that it may.
#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "mcp/tool_server.h"
#include "server/http_server.h"

namespace fieldprint::mcp {

struct HttpTransportOptions {
  std::string host = "127.0.0.1";  // a loopback address
  int port = 0;                    // 0: any free one
  std::string token = {};          // clients send it as Authorization: Bearer; "" = none is asked for
  std::string principal = "user";  // of everybody who may speak
  size_t sessions = 256;           // of the initialize era at once: the one not used for longest makes room
  int connections = 256;           // at once
  int streams = 64;                // that clients listen to at once
  std::chrono::milliseconds keep_alive{15'000};  // between the comments on a stream that has nothing to say
};

class HttpTransport {
 public:
  // Listens. `server` outlives it. Throws Error kUsage (host), kIo (port taken ...).
  HttpTransport(const ToolServer& server, const HttpTransportOptions& options);
  ~HttpTransport();  // as stop(0)

  int port() const { return http_->port(); }
  int connections() const { return http_->connections(); }
  std::string url() const;

  // Streams end at once, requests under way may take `patience`. Once.
  void stop(std::chrono::milliseconds patience);

 private:
  struct Session {
    std::shared_ptr<Peer> peer;
    std::chrono::steady_clock::time_point used;
  };
  class Answer;

  void handle(server::HttpRequest& request, server::HttpReply& reply);
  void post(const server::HttpRequest& http, server::HttpReply& reply);
  void get(const server::HttpRequest& http, server::HttpReply& reply);
  void remove(const server::HttpRequest& http, server::HttpReply& reply);
  std::shared_ptr<Peer> session_of(const server::HttpRequest& http);
  void open_session(std::shared_ptr<Peer> peer, const std::string& id);

  const ToolServer& server_;
  const HttpTransportOptions options_;
  Peer everybody_;  // who speaks without a session: one conversation, as far as anybody can know
  std::mutex mutex_;
  std::map<std::string, Session> sessions_;
  std::map<const Call*, std::shared_ptr<Call>> stateless_;  // under way
  std::atomic<int> streams_{0};
  bool stopping_ = false;
  std::unique_ptr<server::HttpServer> http_;  // last: it calls handle() as soon as it is there
};

}  // namespace fieldprint::mcp
