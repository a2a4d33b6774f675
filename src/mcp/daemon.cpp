#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "base/random_id.h"
#include "fieldprint/error.h"
#include "fieldprint/memory_daemon.h"
#include "mcp/http_transport.h"
#include "mcp/memory_tools.h"
#include "mcp/stream_transport.h"
#include "mcp/unix_socket.h"
#include "mcp/wire.h"
#include "server/workers.h"

namespace fieldprint {

using namespace mcp;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

constexpr int kConnections = 256;  // at once; further ones are closed
constexpr auto kHelloTime = 5s;
constexpr auto kPatience = 5s;  // for HTTP requests under way at the end

}  // namespace

struct MemoryDaemon::State {
  State(MemoryCalls& memory, const MemoryDaemonOptions& given)
      : calls(memory), options(given), server(memory_tools(memory, given.version)) {
    lock = lock_in(options.directory, "daemon.lock");
    if (!lock) throw Error(ErrorKind::kIo, "another daemon serves this memory", options.directory);
    if (options.http_port >= 0)
      http.emplace(server,
                   HttpTransportOptions{
                       .port = options.http_port, .token = options.http_token, .principal = options.http_principal});
    listener = listen_in(options.directory);
    accepting = std::thread([this] { accept_all(); });
  }

  ~State() {
    stop();
    accepting.join();
    workers.join();
    if (http) http->stop(kPatience);
  }

  void stop() {
    {
      const std::lock_guard guard(mutex);
      stopped = true;
    }
    stopping.set();
    changed.notify_all();
  }

  void accept_all() {
    Clock::time_point used = Clock::now();
    for (;;) {
      pollfd polled[2] = {{listener.get(), POLLIN, 0}, {stopping.fd(), POLLIN, 0}};
      ::poll(polled, 2, 250);
      if (polled[1].revents != 0) break;
      if (open > 0 || (http && http->connections() > 0)) used = Clock::now();
      if (options.idle > 0s && Clock::now() - used > options.idle) break;
      if (polled[0].revents == 0) continue;
      Descriptor socket(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!socket) {
        std::this_thread::sleep_for(20ms);  // no descriptors left: later
        continue;
      }
      used = Clock::now();
      if (open >= kConnections || !is_own_user(socket.get())) continue;
      ++open;
      const auto shared = std::make_shared<Descriptor>(std::move(socket));
      const bool begun = workers.run([this, shared] {
        converse(shared->get());
        shared->reset();
        --open;
      });
      if (!begun) --open;
    }
    listener.reset();  // who waits in its queue finds or starts another daemon
    stop();
  }

  // Does not throw.
  void converse(int socket) {
    LineReader reader(socket, stopping.fd(), kMaxMessageBytes);
    LineWriter writer(socket);
    try {
      const Line line = reader.next(kHelloTime);
      if (line.kind != Line::Kind::kLine) return;
      Hello hello = hello_from(line.text);
      if (!writer.write(greeting_text(hello))) return;
      if (hello.role == "mcp") {
        if (hello.caller.session.empty()) hello.caller.session = "mcp-" + random_id();
        Peer peer(hello.caller.principal, hello.caller.session);
        serve_stream(server, peer, reader, writer);
        return;
      }
      for (Line next = reader.next(); next.kind != Line::Kind::kEnd; next = reader.next())
        if (!writer.write(to_text(answer_call(hello.caller, next)))) return;
    } catch (const Error& error) {
      writer.write(to_text({{"error", error_json(error)}}));
    } catch (const std::exception& error) {
      writer.write(to_text({{"error", error_json(Error(ErrorKind::kBadInput, error.what()))}}));
    }
  }

  Json answer_call(const MemoryCaller& caller, const Line& line) {
    Json id;
    try {
      if (line.kind == Line::Kind::kTooLong)
        throw Error(ErrorKind::kLimit, fmt::format("the call is longer than {} bytes", kMaxMessageBytes));
      const Json call = parse_text(line.text);
      id = id_of(call);
      if (!call.is_object() || !call.contains("method") || !call["method"].is_string())
        throw Error(ErrorKind::kBadInput, "a call has a method");
      const std::string result =
          calls.call(caller, call["method"].get<std::string>(), to_text(call.value("params", Json::object())));
      return {{"id", id}, {"result", Json::parse(result)}};
    } catch (const Error& error) {
      return {{"id", id}, {"error", error_json(error)}};
    } catch (const RpcError& error) {
      return {{"id", id}, {"error", error_json(Error(ErrorKind::kBadInput, error.what()))}};
    } catch (const std::exception& error) {
      return {{"id", id}, {"error", error_json(Error(ErrorKind::kIo, error.what()))}};
    }
  }

  MemoryCalls& calls;
  const MemoryDaemonOptions options;
  const ToolServer server;
  Descriptor lock, listener;
  StopSignal stopping;
  std::optional<HttpTransport> http;
  std::atomic<int> open{0};
  std::mutex mutex;
  std::condition_variable changed;
  bool stopped = false;
  server::Workers workers;
  std::thread accepting;
};

MemoryDaemon::MemoryDaemon(MemoryCalls& calls, const MemoryDaemonOptions& options)
    : state_(std::make_unique<State>(calls, options)) {}

MemoryDaemon::~MemoryDaemon() = default;

std::string MemoryDaemon::url() const { return state_->http ? state_->http->url() : ""; }

void MemoryDaemon::wait() {
  std::unique_lock lock(state_->mutex);
  state_->changed.wait(lock, [this] { return state_->stopped; });
}

void MemoryDaemon::stop() { state_->stop(); }

}  // namespace fieldprint
