// A web server for tests, on 127.0.0.1 and a free port: one thread, one request per connection, answers by a function.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace fieldprint {

struct HttpRequest {
  std::string path;
  std::map<std::string, std::string> headers;  // keys in lower case

  std::string header(const std::string& key) const {
    const auto found = headers.find(key);
    return found == headers.end() ? "" : found->second;
  }
};

struct HttpAnswer {
  int status = 200;
  std::vector<std::string> headers;  // "ETag: \"x\""
  std::string body;
  std::optional<size_t> break_after = {};  // cut the connection after so many bytes of the body
  bool length = true;                      // state Content-Length
};

class HttpServer {
 public:
  explicit HttpServer(std::function<HttpAnswer(const HttpRequest&)> answer) : answer_(std::move(answer)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (listener_ < 0 || ::bind(listener_, generic, length) != 0 || ::listen(listener_, 16) != 0 ||
        ::getsockname(listener_, generic, &length) != 0) {
      throw std::runtime_error("no test server on 127.0.0.1");
    }
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }

  ~HttpServer() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

  std::vector<HttpRequest> requests() const {
    const std::lock_guard hold(mutex_);
    return requests_;
  }

 private:
  void serve() {
    for (;;) {
      const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (connection < 0) return;
      talk(connection);
      ::close(connection);
    }
  }

  void talk(int connection) {
    std::string head;
    char buffer[4096];
    while (head.find("\r\n\r\n") == std::string::npos) {
      const ssize_t got = ::recv(connection, buffer, sizeof buffer, 0);
      if (got <= 0) return;
      head.append(buffer, static_cast<size_t>(got));
    }
    HttpRequest request;
    size_t line_end = head.find("\r\n");
    const size_t path = head.find(' ') + 1;
    request.path = head.substr(path, head.find(' ', path) - path);
    for (size_t begin = line_end + 2; (line_end = head.find("\r\n", begin)) != begin; begin = line_end + 2) {
      const size_t colon = head.find(':', begin);
      std::string key = head.substr(begin, colon - begin);
      std::transform(key.begin(), key.end(), key.begin(),
                     [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      request.headers[key] = head.substr(colon + 2, line_end - colon - 2);
    }
    {
      const std::lock_guard hold(mutex_);
      requests_.push_back(request);
    }
    const HttpAnswer answer = answer_(request);
    std::string reply = "HTTP/1.1 " + std::to_string(answer.status) + " Answer\r\nConnection: close\r\n";
    for (const std::string& header : answer.headers) reply += header + "\r\n";
    if (answer.length) reply += "Content-Length: " + std::to_string(answer.body.size()) + "\r\n";
    reply += "\r\n" + answer.body.substr(0, answer.break_after.value_or(answer.body.size()));
    for (size_t sent = 0; sent < reply.size();) {
      const ssize_t now = ::send(connection, reply.data() + sent, reply.size() - sent, MSG_NOSIGNAL);
      if (now <= 0) return;
      sent += static_cast<size_t>(now);
    }
  }

  std::function<HttpAnswer(const HttpRequest&)> answer_;
  int listener_ = -1;
  int port_ = 0;
  mutable std::mutex mutex_;
  std::vector<HttpRequest> requests_;
  std::thread thread_;
};

// A server that has one file under every path, with ranges: what a well-kept one does.
inline HttpAnswer serve_with_ranges(const HttpRequest& request, const std::string& file, const std::string& etag) {
  const std::string range = request.header("range");
  const std::string condition = request.header("if-range");
  HttpAnswer answer;
  answer.headers = {"ETag: " + etag, "Accept-Ranges: bytes"};
  answer.body = file;
  if (range.rfind("bytes=", 0) != 0 || (!condition.empty() && condition != etag)) return answer;
  const size_t begin = std::stoul(range.substr(6));
  if (begin >= file.size()) {
    answer.status = 416;
    answer.headers.push_back("Content-Range: bytes */" + std::to_string(file.size()));
    answer.body.clear();
    return answer;
  }
  answer.status = 206;
  answer.headers.push_back("Content-Range: bytes " + std::to_string(begin) + "-" + std::to_string(file.size() - 1) +
                           "/" + std::to_string(file.size()));
  answer.body = file.substr(begin);
  return answer;
}

}  // namespace fieldprint
