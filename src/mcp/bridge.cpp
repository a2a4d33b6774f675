#include <fmt/format.h>
#include <sys/socket.h>

#include <csignal>
#include <map>
#include <mutex>
#include <thread>

#include "base/json.h"
#include "base/random_id.h"
#include "fieldprint/error.h"
#include "fieldprint/memory_daemon.h"
#include "mcp/daemon_link.h"
#include "mcp/lines.h"
#include "mcp/wire.h"

namespace fieldprint {

using namespace mcp;

namespace {

constexpr const char* kAgainId = "fieldprint-again";  // of an initialize that the client does not know of

// One connection to the daemon, and what was asked over it.
struct Link {
  explicit Link(std::unique_ptr<DaemonLink> given) : daemon(std::move(given)) {}
  std::unique_ptr<DaemonLink> daemon;
  std::map<std::string, Json> pending = {};  // ids by their JSON; under the bridge's mutex
  std::thread answers = {};
};

// The messages of one line; null where it is no JSON.
Json messages_of(const std::string& text, size_t most) {
  try {
    Json json = parse_ordered_json(text, "message", {.max_bytes = most});
    return json.is_array() ? json : Json::array({std::move(json)});
  } catch (const Error&) {
    return Json::array();
  }
}

bool is_method(const Json& message, const char* method) {
  const auto found = message.find("method");
  return found != message.end() && *found == method;
}

class Bridge {
 public:
  explicit Bridge(const MemoryBridgeOptions& options)
      : options_(options),
        reader_(options.in, -1, kMaxMessageBytes),
        writer_(options.out),
        session_("mcp-" + random_id()) {}

  void run() {
    for (Line line = reader_.next(); line.kind != Line::Kind::kEnd && !writer_.gone(); line = reader_.next()) {
      if (line.kind == Line::Kind::kTooLong) {
        answer(error_reply(
            nullptr, RpcError(kInvalidRequest, fmt::format("the message is longer than {} bytes", kMaxMessageBytes))));
        continue;
      }
      pass(line.text);
    }
    if (link_) {
      ::shutdown(link_->daemon->socket.get(), SHUT_WR);  // the daemon finishes what is under way
      link_->answers.join();
    }
  }

 private:
  void answer(const Json& message) { writer_.write(to_text(message)); }

  // From the client to the daemon, which says what is wrong with it where something is.
  void pass(const std::string& text) {
    const Json messages = messages_of(text, kMaxMessageBytes);
    std::vector<Json> ids;
    for (const Json& each : messages)
      if (each.is_object() && each.contains("method") && !id_of(each).is_null()) ids.push_back(id_of(each));
    try {
      Link& link = connected_for(messages, ids);
      link.daemon->writer.write(text);  // where it fails, the end of its answers says so
      for (const Json& each : messages)
        if (is_method(each, "initialize")) initialize_ = each;
    } catch (const Error& error) {
      const std::string what =
          error.hint().empty() ? std::string(error.what()) : fmt::format("{} ({})", error.what(), error.hint());
      for (const Json& id : ids) answer(error_reply(id, RpcError(kInternalError, what)));
    }
  }

  // The connection, or a new one, with `ids` put down as asked over it. Throws Error where no daemon is to be had.
  Link& connected_for(const Json& messages, const std::vector<Json>& ids) {
    for (;;) {
      if (!link_) connect();
      {
        const std::lock_guard lock(mutex_);
        if (!ended_) {
          for (const Json& id : ids) link_->pending[to_text(id)] = id;
          for (const Json& each : messages)  // what is cancelled is not answered
            if (is_method(each, "notifications/cancelled") && each.contains("params") && each["params"].is_object())
              link_->pending.erase(to_text(each["params"].value("requestId", Json())));
          return *link_;
        }
      }
      link_->answers.join();
      link_.reset();
    }
  }

  void connect() {
    const Hello hello{.role = "mcp",
                      .caller = {.principal = options_.principal, .session = session_, .adapter = "mcp"}};
    link_ = std::make_unique<Link>(find_daemon(options_.directory, hello, options_.daemon, options_.patience));
    ended_ = false;
    if (initialize_.is_object()) {  // the daemon before knew this client
      Json again = initialize_;
      again["id"] = kAgainId;
      link_->daemon->writer.write(to_text(again));
      link_->daemon->writer.write(to_text({{"jsonrpc", "2.0"}, {"method", "notifications/initialized"}}));
    }
    link_->answers = std::thread([this, link = link_.get()] { pass_back(*link); });
  }

  // From the daemon to the client, until it ends; then what it owes.
  void pass_back(Link& link) {
    LineReader& reader = link.daemon->reader;
    for (Line line = reader.next(); line.kind != Line::Kind::kEnd; line = reader.next()) {
      if (line.kind != Line::Kind::kLine || !note_answer(link, line.text)) continue;
      if (!writer_.write(line.text)) break;  // nobody reads: the end of its input tells run()
    }
    ::shutdown(link.daemon->socket.get(), SHUT_RDWR);
    std::map<std::string, Json> owed;
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
      owed.swap(link.pending);
    }
    for (const auto& [key, id] : owed)
      answer(
          error_reply(id, RpcError(kInternalError,
                                   "the memory's daemon ended before it answered: whether this was done is not known, "
                                   "and asking again does no harm")));
  }

  // False: not the client's concern.
  bool note_answer(Link& link, const std::string& text) {
    const Json messages = messages_of(text, kMaxAnswerBytes);
    const std::lock_guard lock(mutex_);
    for (const Json& each : messages) {
      if (!each.is_object() || each.contains("method")) continue;
      const Json id = id_of(each);
      if (id == kAgainId) return false;
      if (!id.is_null()) link.pending.erase(to_text(id));
    }
    return true;
  }

  const MemoryBridgeOptions options_;
  LineReader reader_;
  LineWriter writer_;
  const std::string session_;  // the same for a next daemon: the conversation goes on
  Json initialize_;            // as the client sent it
  std::unique_ptr<Link> link_;
  std::mutex mutex_;
  bool ended_ = false;  // link_: no answers come any more
};

}  // namespace

void bridge_memory_mcp(const MemoryBridgeOptions& options) {
  ::signal(SIGPIPE, SIG_IGN);
  Bridge(options).run();
}

}  // namespace fieldprint
