// HTTP/1.1 on TCP (with TLS or without) and on a Unix socket: connections, their limits, and the order in which a
// server shuts down. What is said over it is the handler's business.
//
// A few I/O threads own the sockets. Each request is handled on a thread of its own from a pool, which may wait for the
// model; what it writes is queued and sent by the I/O threads, so that a slow reader holds up nobody.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "server/http.h"

namespace fieldprint::server {

struct HttpOptions {
  std::string host = "127.0.0.1";          // "" = no TCP
  int port = 8080;                         // 0 = any free one
  std::string unix_socket = {};            // path; "" = none
  std::string certificate = {}, key = {};  // PEM files; TLS where both are given
  int io_threads = 2;
  int connections = 1024;             // at most; further ones wait in the system's queue
  size_t header_bytes = 64 << 10;     // of a request
  size_t body_bytes = 64 << 20;       // of a request
  size_t unsent_bytes = 16 << 20;     // of replies that a client does not read
  std::chrono::seconds idle{75};      // between the requests of a connection
  std::chrono::seconds reading{30};   // for a request's header, and for each megabyte of its body
  std::chrono::seconds sending{120};  // without a client taking a byte
};

class HttpServer {
 public:
  using Handle = std::function<void(HttpRequest& request, HttpReply& reply)>;  // must not throw
  // Wrong requests never come to `handle`; `refused` makes the body that they are answered with.
  using Refused = std::function<HttpResponse(int status, const std::string& what)>;

  // Listens and begins to serve. Throws Error kUsage (address, certificate), kIo (port taken ...).
  HttpServer(const HttpOptions& options, Handle handle, Refused refused);
  ~HttpServer();  // as stop(0)

  int port() const;         // that TCP is listened to on; 0: none
  int connections() const;  // open now

  // No new connections, no further requests on the open ones; replies under way may take `patience`, then they are cut
  // off. Returns when every handler has. From one thread, once.
  void stop(std::chrono::milliseconds patience);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fieldprint::server
