// Requests to one server, by libcurl: what came back, or how the connection broke.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace fieldprint {

struct HttpTimeouts {
  double connect = 20;
  // Of the answer: from the request on, and within it between two pieces of data. Space and SSE comments (": ping"),
  // by which a slow server keeps the connection alive, are none.
  double first_byte = 1200;
  double idle = 120;  // within the answer, without any byte, comments too
};

struct HttpResult {
  enum class Break {
    kNone,
    kUnreachable,  // no connection
    kTimeout,
    kReset,  // before the body began
    kCut,    // within the body
    kTooLong,
    kStopped
  };
  Break broke = Break::kNone;
  std::string detail;  // a sentence, of a break
  long status = 0;     // 0: there was no answer
  std::string content_type, body;
  std::optional<double> retry_after;  // seconds, also where the server named a time
  double first_byte = 0;              // seconds until the answer began
};

// From any number of threads. Redirects are not followed: a prompt and a key go where the user said and nowhere else.
class HttpClient {
 public:
  // `url`: of the server, http or https. `key`: "" = none. Throws Error kUsage where the key would travel in the clear
  // to another machine.
  HttpClient(const std::string& url, std::string key, const HttpTimeouts& timeouts);
  ~HttpClient();

  HttpResult get(const std::string& url);
  HttpResult post(const std::string& url, const std::string& body);
  void stop();  // from any thread: requests under way end within a second, later ones at once

 private:
  struct Transfer;
  HttpResult send(const std::string& url, const std::string* body);

  std::string key_;
  bool local_;
  HttpTimeouts timeouts_;
  std::atomic<bool> stopped_{false};
  std::mutex mutex_;            // of handles_
  std::vector<void*> handles_;  // idle, with their open connections
};

}  // namespace fieldprint
