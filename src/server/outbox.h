// What a reply puts into the world: bytes that wait to be sent, and whether anybody is there to get them.
#pragma once

#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "server/http.h"

namespace fieldprint::server {

// The part of a connection that a request's thread works with. It outlives the connection where a handler does.
class Outbox {
 public:
  explicit Outbox(size_t most) : most_(most) {}

  // From the request's thread. `wake` is called where the I/O side has to be told.
  void put(std::string bytes, bool last = false, bool close = false) {
    std::function<void()> wake;
    {
      const std::lock_guard lock(mutex_);
      if (gone_) throw Disconnected{};
      if (unsent_ + bytes.size() > most_ && unsent_ > 0) gone_ = true;
      unsent_ += bytes.size();
      if (!bytes.empty()) queue_.push_back(std::move(bytes));
      last_ = last_ || last;
      close_ = close_ || close;
      if (!told_) wake = wake_, told_ = true;
    }
    if (wake) wake();
  }

  // From the I/O side.
  void start(std::function<void()> wake) {
    const std::lock_guard lock(mutex_);
    wake_ = std::move(wake);
    queue_.clear();
    unsent_ = 0;
    told_ = last_ = close_ = gone_ = false;
    on_gone_.clear();
  }
  struct Taken {
    std::string bytes;
    bool last, close, overflow;
  };
  Taken take() {  // all that waits, as one
    const std::lock_guard lock(mutex_);
    Taken taken{{}, last_, close_, gone_};
    for (std::string& part : queue_) {
      if (taken.bytes.empty()) taken.bytes = std::move(part);
      else taken.bytes += part;
    }
    queue_.clear();
    told_ = false;
    return taken;
  }
  void sent(size_t bytes) {
    const std::lock_guard lock(mutex_);
    unsent_ -= std::min(unsent_, bytes);
  }
  // The reply is through, or the client is gone.
  void finish(bool client_gone) {
    std::vector<std::function<void()>> all;
    {
      const std::lock_guard lock(mutex_);
      gone_ = gone_ || client_gone;
      all = std::exchange(on_gone_, {});
      wake_ = nullptr;
    }
    if (client_gone)
      for (const auto& gone : all) gone();
  }

  void on_disconnect(std::function<void()> gone) {
    {
      const std::lock_guard lock(mutex_);
      if (!gone_) {
        on_gone_.push_back(std::move(gone));
        return;
      }
    }
    gone();
  }

 private:
  const size_t most_;
  std::mutex mutex_;
  std::function<void()> wake_;
  std::vector<std::function<void()>> on_gone_;
  std::deque<std::string> queue_;
  size_t unsent_ = 0;  // bytes that were put and not sent
  bool told_ = false, last_ = false, close_ = false, gone_ = false;
};

}  // namespace fieldprint::server
