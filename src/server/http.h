// Requests and replies as endpoints see them: HTTP without sockets, JSON or models.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fieldprint::server {

struct HttpRequest {
  std::string method = {};                          // "GET", "POST" ...
  std::string path = {};                            // decoded, without the query: "/v1/models/a b"
  std::map<std::string, std::string> query = {};    // decoded; of equal names the last
  std::map<std::string, std::string> headers = {};  // names in lower case; of equal names the last
  std::string body = {};
  std::map<std::string, std::string> parameters = {};  // what stood in the place of {name} in the endpoint's path
  std::string key = {};                                // the API key that it came with; "" where none is asked for
  std::string id = {};                                 // "req-..." of this process, also in the reply's X-Request-Id

  std::string_view header(const std::string& name) const {  // "" where there is none
    const auto found = headers.find(name);
    return found == headers.end() ? std::string_view() : std::string_view(found->second);
  }
};

struct HttpResponse {
  int status = 200;
  std::string type = "application/json";
  std::string body = {};
  std::vector<std::pair<std::string, std::string>> headers = {};
};

// Thrown by HttpReply where the client is not there any more: nobody is left to tell.
struct Disconnected {};

// The reply to one request: send() once, or begin(), write() any number of times, end(). Belongs to the thread that
// handles the request; none of the calls waits for the client, whose bytes go out from the server's own threads. A
// client that lets more than ServerOptions::unsent_bytes pile up is taken for gone.
class HttpReply {
 public:
  virtual ~HttpReply() = default;
  virtual void send(HttpResponse response) = 0;
  virtual void begin(HttpResponse head) = 0;  // its body is ignored; chunks follow
  virtual void write(std::string_view chunk) = 0;
  virtual void end() = 0;
  virtual bool begun() const = 0;  // send() or begin() was called
  // `gone` is called once, from any thread, as soon as the client goes before the reply ends: perhaps at once. It must
  // not block. Dropped with the reply.
  virtual void on_disconnect(std::function<void()> gone) = 0;
};

}  // namespace fieldprint::server
