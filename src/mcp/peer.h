// The client at the other end of a stream or of an HTTP session, and what it has under way.
#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "mcp/rpc.h"

namespace fieldprint::mcp {

// A request under way. Ends early where its client cancels it (no reply) or the server closes (a reply, where it is one
// that lasts until then). Any thread.
class Call {
 public:
  void cancel() { end(cancelled_); }
  void close() { end(closed_); }

  bool cancelled() const {
    const std::lock_guard lock(mutex_);
    return cancelled_;
  }
  // Whether it ended early within `time`.
  bool wait_for(std::chrono::milliseconds time) const {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, time, [this] { return cancelled_ || closed_; });
  }

 private:
  void end(bool& flag) {
    {
      const std::lock_guard lock(mutex_);
      flag = true;
    }
    changed_.notify_all();
  }

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  bool cancelled_ = false, closed_ = false;
};

class Peer {
 public:
  // As the transport knows them. `client`: a name, where it is known before a message says one.
  Peer(std::string principal, std::string session, std::string client = {})
      : principal_(std::move(principal)), session_(std::move(session)), client_(std::move(client)) {}

  const std::string& principal() const { return principal_; }
  const std::string& session() const { return session_; }

  // Requests under way. Throws RpcError kInvalidRequest where one of this id is.
  std::shared_ptr<Call> begin(const Json& id);
  void end(const Json& id);
  void cancel(const Json& id);  // unknown ones are nobody's mistake
  void cancel_all();
  void close_all();  // those that begin later too

  // What `initialize` agreed upon.
  struct Agreed {
    std::string version = {};  // "" before
    std::string client = {};
    Json capabilities = Json::object();
    std::string log_level = "info";  // the least that is sent
  };
  Agreed agreed() const;
  void agree(std::string version, const std::string& client, Json capabilities);
  void set_log_level(std::string level);

 private:
  const std::string principal_, session_, client_;
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Call>> calls_;  // by their id's JSON
  bool closed_ = false;
  Agreed agreed_;
};

}  // namespace fieldprint::mcp
