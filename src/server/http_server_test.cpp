// Limits that take long to reach by their usual values; tests/server_test.py has the others.
#include "server/http_server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <thread>

namespace fieldprint::server {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using namespace std::chrono_literals;

class Client {
 public:
  explicit Client(int port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  ~Client() { ::close(fd_); }
  void send(std::string_view text) const {
    EXPECT_EQ(::send(fd_, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  std::string read_all() const {  // until the server closes
    std::string all;
    char bytes[4096];
    for (ssize_t n; (n = ::recv(fd_, bytes, sizeof bytes, 0)) > 0;) all.append(bytes, static_cast<size_t>(n));
    return all;
  }

 private:
  int fd_;
};

HttpOptions quick() {
  HttpOptions options;
  options.port = 0;
  options.idle = 1s;
  options.reading = 1s;
  options.sending = 1s;
  options.unsent_bytes = 1 << 20;
  return options;
}

HttpResponse refused(int status, const std::string& what) { return {.status = status, .body = what}; }

TEST(HttpServer, SlowRequestsAreTimedOutAndIdleConnectionsClosed) {
  HttpServer server(
      quick(), [](HttpRequest&, HttpReply& reply) { reply.send({.body = "ok"}); }, refused);
  const Client slow(server.port()), idle(server.port()), used(server.port());
  slow.send("GET / HTTP/1.1\r\nHos");
  used.send("GET / HTTP/1.1\r\n\r\n");
  EXPECT_THAT(slow.read_all(), StartsWith("HTTP/1.1 408 "));
  EXPECT_EQ(idle.read_all(), "");
  EXPECT_THAT(used.read_all(), HasSubstr("\r\n\r\nok"));
}

TEST(HttpServer, AClientThatTakesNothingIsGone) {
  std::atomic<int> gone = 0, cut_off = 0;
  const auto handle = [&](HttpRequest&, HttpReply& reply) {
    reply.on_disconnect([&] { ++gone; });
    try {
      reply.begin({});
      for (;;) {
        reply.write(std::string(100'000, 'x'));
        std::this_thread::sleep_for(1ms);
      }
    } catch (const Disconnected&) {
      ++cut_off;
    }
  };
  HttpServer server(quick(), handle, refused);
  const Client client(server.port());
  client.send("GET / HTTP/1.1\r\n\r\n");
  for (int i = 0; i < 500 && (gone < 1 || cut_off < 1); ++i) std::this_thread::sleep_for(20ms);
  EXPECT_EQ(gone, 1);
  EXPECT_EQ(cut_off, 1);
}

TEST(HttpServer, AHandlerThatSaysNothingLeavesNobodyWaiting) {
  HttpServer server(
      quick(),
      [](HttpRequest& request, HttpReply& reply) {
        if (request.path == "/half") reply.begin({}), reply.write("half");
      },
      refused);
  const Client none(server.port()), half(server.port());
  none.send("GET /none HTTP/1.1\r\n\r\n");
  half.send("GET /half HTTP/1.1\r\n\r\n");
  EXPECT_EQ(none.read_all(), "");
  EXPECT_THAT(half.read_all(),
              testing::EndsWith("half\r\n"));  // without the last chunk: the client sees that it is cut
}

TEST(HttpServer, StoppingWaitsForTheRepliesUnderWay) {
  std::atomic<bool> begun = false;
  HttpServer server(
      quick(),
      [&](HttpRequest&, HttpReply& reply) {
        begun = true;
        std::this_thread::sleep_for(300ms);
        reply.send({.body = "late"});
      },
      refused);
  const Client client(server.port()), idle(server.port());
  client.send("GET / HTTP/1.1\r\n\r\n");
  while (!begun) std::this_thread::sleep_for(1ms);
  server.stop(5s);
  EXPECT_THAT(client.read_all(), HasSubstr("Connection: keep-alive\r\n\r\nlate"));
}

}  // namespace
}  // namespace fieldprint::server
