// How many requests a server gets at a time: as many as it answers without letting them wait.
#pragma once

#include <algorithm>
#include <chrono>

namespace fieldprint {

// Additive increase, multiplicative decrease (Jacobson 1988), from slow start on. Not thread-safe.
class ConcurrencyLimit {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // `adaptive`: else it is `most` throughout.
  ConcurrencyLimit(int most, bool adaptive)
      : most_(most), adaptive_(adaptive), limit_(adaptive ? std::min(most, kFirst) : most) {}

  int now() const { return std::max(1, static_cast<int>(limit_)); }

  // An answer came, whose first byte took so many seconds (0: not known).
  void succeeded(double first_byte) {
    if (first_byte > 0) {
      shortest_ = shortest_ == 0 ? first_byte : std::min(shortest_, first_byte);
      usual_ = usual_ == 0 ? first_byte : usual_ + (first_byte - usual_) / 8;
    }
    if (!adaptive_ || queued_ || usual_ > kSlow * shortest_ + kSlack) return;
    limit_ = std::min(limit_ + (slow_start_ ? 1 : 1 / limit_), static_cast<double>(most_));
  }

  // The server had too much to do with a request that began then. Requests of before the last decrease say nothing new.
  void congested(Time begun, Time at) {
    if (!adaptive_ || begun < decreased_) return;
    slow_start_ = false;
    limit_ = std::max(1.0, limit_ / 2);
    decreased_ = at;
  }

  // So many requests wait at the server, of whoever.
  void queue(int waiting, Time at) {
    queued_ = waiting > 0;
    if (waiting > now() / 2 + 1) congested(at, at);
  }

 private:
  static constexpr int kFirst = 4;
  static constexpr double kSlow = 3, kSlack = 0.5;  // seconds: below it, waiting is noise

  int most_;
  bool adaptive_, slow_start_ = true, queued_ = false;
  double limit_, shortest_ = 0, usual_ = 0;
  Time decreased_{};
};

}  // namespace fieldprint
