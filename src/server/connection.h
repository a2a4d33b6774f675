// One connection: requests read within their limits, each handled on a thread of its own, its reply sent as it is made,
// the client watched meanwhile. `Stream` is a TCP socket, TLS over one, or a Unix socket. All members run on the
// connection's strand, but for those that say otherwise.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <set>

#include "fieldprint/error.h"
#include "server/http_server.h"
#include "server/outbox.h"
#include "server/url.h"
#include "server/workers.h"

namespace fieldprint::server {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using Code = boost::system::error_code;
using Clock = std::chrono::steady_clock;
using Strand = asio::strand<asio::io_context::executor_type>;

inline constexpr auto kToken = asio::as_tuple(asio::use_awaitable);  // (error, result) in place of exceptions
inline constexpr size_t kReadAtOnce = 16 << 10;
inline constexpr size_t kAhead = 64 << 10;  // bytes of a next request that are read while one is answered

// What the server and its connections share.
struct Hub {
  HttpOptions options;
  HttpServer::Handle handle;
  HttpServer::Refused refused;
  Workers workers;
  std::atomic<uint64_t> requests{0};
  std::atomic<bool> draining{false};

  std::mutex mutex;
  std::condition_variable changed;
  std::set<class AnyConnection*> open;
};

class AnyConnection {
 public:
  virtual ~AnyConnection() = default;
  virtual void drain() = 0;  // closes as soon as the reply under way has gone out; from any thread
  virtual void abort() = 0;  // closes now
};

class Reply final : public HttpReply {
 public:
  Reply(std::shared_ptr<Outbox> outbox, int version, bool head, bool keep_alive, std::string id)
      : outbox_(std::move(outbox)), version_(version), head_(head), keep_alive_(keep_alive), id_(std::move(id)) {}

  void send(HttpResponse response) override {
    begun_ = ended_ = true;
    std::string bytes = header(response, fmt::format("Content-Length: {}\r\n", response.body.size()));
    if (!head_) bytes += response.body;
    outbox_->put(std::move(bytes), true);
  }
  void begin(HttpResponse head) override {
    begun_ = true;
    chunked_ = version_ >= 11;
    if (!chunked_) keep_alive_ = false;  // the end of the connection is that of the body
    outbox_->put(header(head, chunked_ ? "Transfer-Encoding: chunked\r\n" : ""));
  }
  void write(std::string_view chunk) override {
    if (chunk.empty() || head_) return;
    outbox_->put(chunked_ ? fmt::format("{:x}\r\n{}\r\n", chunk.size(), chunk) : std::string(chunk));
  }
  void end() override {
    ended_ = true;
    outbox_->put(chunked_ && !head_ ? "0\r\n\r\n" : "", true, !keep_alive_);
  }
  // After the handler: a reply without an end is cut off, so that the client sees that something is missing.
  void cut() {
    try {
      if (!ended_) outbox_->put("", true, true);
    } catch (const Disconnected&) {
    }
  }
  bool begun() const override { return begun_; }
  void on_disconnect(std::function<void()> gone) override { outbox_->on_disconnect(std::move(gone)); }

 private:
  std::string header(const HttpResponse& response, const std::string& framing) const {
    std::string text = fmt::format("HTTP/1.1 {} {}\r\n", response.status,
                                   std::string(http::obsolete_reason(static_cast<http::status>(response.status))));
    if (!response.type.empty()) text += fmt::format("Content-Type: {}\r\n", response.type);
    for (const auto& [name, value] : response.headers) text += fmt::format("{}: {}\r\n", name, value);
    return text + fmt::format("X-Request-Id: {}\r\nServer: fieldprint\r\n{}Connection: {}\r\n\r\n", id_, framing,
                              keep_alive_ ? "keep-alive" : "close");
  }

  const std::shared_ptr<Outbox> outbox_;
  const int version_;
  const bool head_;
  bool keep_alive_, begun_ = false, ended_ = false, chunked_ = false;
  const std::string id_;
};

using Parser = http::request_parser<http::string_body>;

// Nothing where its address makes no sense.
inline std::optional<HttpRequest> plain_request(const Parser& parser, std::string id) {
  const auto& message = parser.get();
  HttpRequest request{.method = std::string(message.method_string())};
  const auto target = std::string_view(message.target().data(), message.target().size());
  const size_t mark = target.find('?');
  try {
    request.path = url_decoded(target.substr(0, mark), false);
    if (mark != target.npos) request.query = query_values(target.substr(mark + 1));
  } catch (const Error&) {
    return std::nullopt;
  }
  for (const auto& field : message) {
    std::string name(field.name_string());
    std::transform(name.begin(), name.end(), name.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
    request.headers[name] = std::string(field.value());
  }
  request.id = std::move(id);
  return request;
}

template <class Stream>
class Connection final : public AnyConnection, public std::enable_shared_from_this<Connection<Stream>> {
 public:
  Connection(Hub& hub, Strand strand, Stream stream)
      : hub_(hub),
        strand_(std::move(strand)),
        stream_(std::move(stream)),
        deadline_(strand_),
        signal_(strand_, Clock::time_point::max()),
        outbox_(std::make_shared<Outbox>(hub.options.unsent_bytes)) {}

  ~Connection() override {
    const std::lock_guard lock(hub_.mutex);
    hub_.open.erase(this);
    hub_.changed.notify_all();
  }

  void start() {
    {
      const std::lock_guard lock(hub_.mutex);
      hub_.open.insert(this);
    }
    asio::co_spawn(
        strand_, [self = this->shared_from_this()] { return self->run(); }, asio::detached);
  }

  void drain() override {
    asio::post(strand_, [weak = this->weak_from_this()] {
      const auto self = weak.lock();
      if (self && !self->answering_) self->close();
    });
  }
  void abort() override {
    asio::post(strand_, [weak = this->weak_from_this()] {
      if (const auto self = weak.lock()) self->close();
    });
  }

 private:
  static constexpr bool kTls = requires(Stream & stream) { stream.handshake(asio::ssl::stream_base::server); };

  auto& socket() { return stream_.lowest_layer(); }

  void close() {
    Code ignored;
    socket().close(ignored);
    deadline_.cancel();
    signal_.cancel();
  }

  // After this long without another call the connection is closed, or what is being read of a request is given up.
  void allow(Clock::duration time) {
    deadline_.expires_after(time);
    deadline_.async_wait([weak = this->weak_from_this(), expires = deadline_.expiry()](Code error) {
      const auto self = weak.lock();
      if (error || !self || self->deadline_.expiry() != expires) return;
      self->timed_out_ = true;
      if (!self->reading_) return self->close();
      Code ignored;
      self->socket().cancel(ignored);
    });
  }
  void allow_forever() { deadline_.expires_at(Clock::time_point::max()); }

  asio::awaitable<bool> read_more() {
    const auto [error, size] = co_await stream_.async_read_some(buffer_.prepare(kReadAtOnce), kToken);
    buffer_.commit(size);
    co_return !error;
  }

  asio::awaitable<void> run() {
    if constexpr (kTls) {
      allow(hub_.options.reading);
      const auto [error] = co_await stream_.async_handshake(asio::ssl::stream_base::server, kToken);
      if (error) co_return close();
    }
    while (!hub_.draining && co_await serve_one()) {
    }
    Code ignored;
    if constexpr (kTls) {
      allow(std::chrono::seconds(2));
      co_await stream_.async_shutdown(kToken);
    }
    // The client gets what was sent to it even where it is still sending: it may be in the middle of a body.
    socket().shutdown(asio::socket_base::shutdown_send, ignored);
    allow(std::chrono::seconds(2));
    for (size_t size = 0; size < kAhead * 16; size += kReadAtOnce) {
      buffer_.consume(buffer_.size());
      if (!co_await read_more()) break;
    }
    close();
  }

  // Reads a request and answers it. False: that was the last one.
  asio::awaitable<bool> serve_one() {
    Parser parser;
    parser.eager(true);
    parser.header_limit(static_cast<std::uint32_t>(hub_.options.header_bytes));
    parser.body_limit(hub_.options.body_bytes);
    Code error;
    allow(hub_.options.idle);
    if (buffer_.size() == 0 && !co_await read_more()) co_return false;
    allow(hub_.options.reading);
    reading_ = true;
    size_t body = 0;
    for (bool continued = false; !parser.is_done();) {
      const bool had_header = parser.is_header_done();
      const size_t used = buffer_.size() > 0 ? parser.put(buffer_.data(), error) : 0;
      buffer_.consume(used);
      if (error == http::error::need_more) error = {};
      if (error) co_return co_await refuse(error);
      // Another coding would leave the body's end unknown, and its bytes would pass for a next request.
      if (parser.is_header_done()) {
        const auto coding = parser.get()[http::field::transfer_encoding];
        if (!coding.empty() && !beast::iequals(coding, "chunked"))
          co_return co_await refuse(http::error::bad_transfer_encoding);
      }
      if (parser.is_done()) break;
      if (parser.is_header_done()) {
        const auto length = parser.content_length();
        if (length && *length > hub_.options.body_bytes) co_return co_await refuse(http::error::body_limit);
        if (!continued && had_header == false && parser.get()[http::field::expect] == "100-continue") {
          static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
          const auto [failed, size] = co_await asio::async_write(stream_, asio::buffer(kContinue), kToken);
          if (failed) co_return false;
          continued = true;
        }
        body += used;
        if (body >> 20 != (body - used) >> 20) allow(hub_.options.reading);
      }
      if (!co_await read_more()) {
        co_return co_await refuse(timed_out_ ? Code(asio::error::timed_out) : Code(http::error::partial_message));
      }
    }
    if (parser.get().version() != 11 && parser.get().version() != 10)
      co_return co_await refuse(http::error::bad_version);
    const bool keep_alive = parser.get().keep_alive() && !hub_.draining;
    const bool head = parser.get().method() == http::verb::head;
    const std::string id = fmt::format("req-{:016x}", ++hub_.requests);
    std::optional<HttpRequest> read = plain_request(parser, id);
    if (!read) co_return co_await refuse(http::error::bad_target);
    HttpRequest& request = *read;
    if (head) request.method = "GET";
    request.body = std::move(parser.get().body());
    Reply reply(outbox_, static_cast<int>(parser.get().version()), head, keep_alive, id);
    co_return co_await answer(std::move(request), std::move(reply)) && keep_alive;
  }

  // The handler runs; what it says goes out; the client is watched meanwhile.
  asio::awaitable<bool> answer(HttpRequest request, Reply reply) {
    reading_ = false;
    allow_forever();
    answering_ = true;
    const auto weak = this->weak_from_this();
    outbox_->start([weak, strand = strand_] {
      asio::post(strand, [weak] {
        if (const auto self = weak.lock()) self->signal_.cancel();
      });
    });
    const auto task = [this, request = std::make_shared<HttpRequest>(std::move(request)),
                       out = std::make_shared<Reply>(std::move(reply)), &hub = hub_, self = this->shared_from_this()] {
      hub.handle(*request, *out);
      out->cut();
    };
    if (!hub_.workers.run(task)) {
      HttpResponse response = hub_.refused(503, "the server has no thread left for this request");
      response.headers.emplace_back("Retry-After", "1");
      co_return co_await write_whole(std::move(response));
    }
    watch();
    bool gone = false, closes = false;
    for (;;) {
      const Outbox::Taken taken = outbox_->take();
      if (taken.overflow || client_gone_) {
        gone = true;
        break;
      }
      if (!taken.bytes.empty()) {
        allow(hub_.options.sending);
        size_t done = 0;
        while (done < taken.bytes.size()) {  // piece by piece: a client that takes some is there
          const auto [error, size] = co_await stream_.async_write_some(
              asio::buffer(taken.bytes.data() + done, taken.bytes.size() - done), kToken);
          if (error) {
            gone = true;
            break;
          }
          done += size;
          outbox_->sent(size);
          allow(hub_.options.sending);
        }
        allow_forever();
        if (gone) break;
      }
      if (taken.last) {
        closes = taken.close;
        break;
      }
      if (!socket().is_open()) {
        gone = true;
        break;
      }
      if (taken.bytes.empty()) {
        signal_.expires_at(Clock::time_point::max());
        co_await signal_.async_wait(kToken);
      }
    }
    outbox_->finish(gone);
    answering_ = false;
    if (gone) {
      close();
      co_return false;
    }
    while (watching_) {  // the read that looked for a disconnect
      Code ignored;
      socket().cancel(ignored);
      signal_.expires_at(Clock::time_point::max());
      co_await signal_.async_wait(kToken);
    }
    co_return !client_gone_ && !closes;
  }

  // Reads on while a reply is made: the end of the stream means that nobody waits for it; bytes belong to the next
  // request.
  void watch() {
    if (watching_ || client_gone_ || buffer_.size() >= kAhead) return;
    watching_ = true;
    asio::co_spawn(
        strand_,
        [self = this->shared_from_this()]() -> asio::awaitable<void> {
          while (self->answering_ && self->buffer_.size() < kAhead) {
            const auto [error, size] =
                co_await self->stream_.async_read_some(self->buffer_.prepare(kReadAtOnce), kToken);
            self->buffer_.commit(size);
            if (error) {
              if (self->answering_) self->client_gone_ = true;
              break;
            }
          }
          self->watching_ = false;
          self->signal_.cancel();
        },
        asio::detached);
  }

  asio::awaitable<bool> refuse(Code error) {
    int status = 400;
    std::string what = "the request is no valid HTTP/1.1: " + error.message();
    if (error == http::error::body_limit)
      status = 413, what = fmt::format("the body is longer than {} bytes", hub_.options.body_bytes);
    if (error == http::error::header_limit)
      status = 431, what = fmt::format("the header is longer than {} bytes", hub_.options.header_bytes);
    if (error == http::error::bad_version) status = 505;
    if (error == http::error::bad_transfer_encoding)
      status = 501, what = "a transfer coding other than chunked is not supported";
    if (error == asio::error::timed_out) status = 408, what = "the request came too slowly";
    co_return co_await write_whole(hub_.refused(status, what));
  }

  asio::awaitable<bool> write_whole(HttpResponse response) {
    auto outbox = std::make_shared<Outbox>(SIZE_MAX);
    Reply(outbox, 11, false, false, fmt::format("req-{:016x}", ++hub_.requests)).send(std::move(response));
    const std::string bytes = outbox->take().bytes;
    reading_ = false;
    allow(hub_.options.reading);
    co_await asio::async_write(stream_, asio::buffer(bytes), kToken);
    co_return false;
  }

  Hub& hub_;
  Strand strand_;
  Stream stream_;
  asio::steady_timer deadline_, signal_;
  beast::flat_buffer buffer_;
  std::shared_ptr<Outbox> outbox_;
  bool answering_ = false, watching_ = false, client_gone_ = false, timed_out_ = false;
  bool reading_ = false;  // a request
};

}  // namespace fieldprint::server
