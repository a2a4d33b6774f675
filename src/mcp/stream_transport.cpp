#include "mcp/stream_transport.h"

#include <fmt/format.h>

#include <condition_variable>
#include <mutex>

#include "server/workers.h"

namespace fieldprint::mcp {
namespace {

class Stream {
 public:
  Stream(const ToolServer& server, Peer& peer, LineWriter& writer, const StreamLimits& limits)
      : server_(server), peer_(peer), writer_(writer), limits_(limits) {}

  void take(const Line& line) {
    Json json;
    try {
      if (line.kind == Line::Kind::kTooLong)
        throw RpcError(kInvalidRequest, fmt::format("the message is longer than {} bytes", kMaxMessageBytes));
      json = parse_text(line.text);
      if (json.is_array()) {
        const Json replies = server_.answer_batch(json, peer_, [this](const Json& note) { send(note); });
        if (!replies.empty()) send(replies);
        return;
      }
      take(message_from(json));
    } catch (const RpcError& error) {
      if (!is_notification(json)) send(error_reply(id_of(json), error));
    }
  }

  // Nothing more comes.
  void finish() {
    peer_.close_all();
    workers_.join();
  }

 private:
  void send(const Json& message) {
    if (!writer_.write(to_text(message))) peer_.cancel_all();
  }

  void take(Message message) {
    if (message.kind == Message::Kind::kNotification) server_.take_note(message, peer_);
    if (message.kind != Message::Kind::kRequest) return;  // a response: nothing was asked
    const Era era = ToolServer::era_of(message, peer_);
    const auto notify = [this](const Json& note) { send(note); };
    if (!ToolServer::takes_long(message)) {
      const auto call = peer_.begin(message.id);
      const auto reply = server_.answer(message, era, peer_, *call, notify);
      peer_.end(message.id);
      if (reply) send(*reply);
      return;
    }
    const bool subscription = message.method == "subscriptions/listen";
    if (!enter(subscription)) throw RpcError(kInvalidRequest, "there are too many subscriptions on this connection");
    auto call = std::shared_ptr<Call>();
    try {
      call = peer_.begin(message.id);
      const bool begun = workers_.run([this, message, era, call, subscription, notify] {
        const auto reply = server_.answer(message, era, peer_, *call, notify);
        peer_.end(message.id);
        if (reply) send(*reply);
        leave(subscription);
      });
      if (!begun) {
        peer_.end(message.id);
        throw RpcError(kInternalError, "the server has no thread left for this request");
      }
    } catch (const RpcError&) {
      leave(subscription);
      throw;
    }
  }

  bool enter(bool subscription) {
    std::unique_lock lock(mutex_);
    if (subscription) {
      if (subscriptions_ >= limits_.subscriptions) return false;
      ++subscriptions_;
      return true;
    }
    changed_.wait(lock, [this] { return calls_ < limits_.calls; });
    ++calls_;
    return true;
  }
  void leave(bool subscription) {
    {
      const std::lock_guard lock(mutex_);
      --(subscription ? subscriptions_ : calls_);
    }
    changed_.notify_one();
  }

  const ToolServer& server_;
  Peer& peer_;
  LineWriter& writer_;
  const StreamLimits limits_;
  std::mutex mutex_;
  std::condition_variable changed_;
  size_t calls_ = 0, subscriptions_ = 0;
  server::Workers workers_;  // last: its threads use the rest
};

}  // namespace

void serve_stream(const ToolServer& server, Peer& peer, LineReader& reader, LineWriter& writer,
                  const StreamLimits& limits) {
  Stream stream(server, peer, writer, limits);
  while (!writer.gone()) {
    const Line line = reader.next();
    if (line.kind == Line::Kind::kEnd) break;
    stream.take(line);
  }
  if (writer.gone()) peer.cancel_all();
  stream.finish();
}

}  // namespace fieldprint::mcp
