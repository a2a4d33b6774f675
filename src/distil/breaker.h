// A circuit breaker (Nygard, Release It!, 2007): a server that fails again and again is left alone for a while, then
// one request tries whether it is back.
#pragma once

#include <algorithm>
#include <chrono>

namespace fieldprint {

// Not thread-safe.
class Breaker {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Seconds = std::chrono::duration<double>;

  // Opens after `failures` in a row, for `pause` seconds, then twice as long each time, up to a minute.
  Breaker(int failures, double pause, Time now) : most_(failures), first_pause_(pause), answered_(now) {}

  void succeeded(Time now) {
    row_ = 0;
    open_ = false;
    pause_ = 0;
    answered_ = now;
    waited_ = 0;
  }

  // So long nothing was under way, since all that is left waits: a server asked for it, or for other attempts.
  void waited(double seconds) { waited_ += seconds; }

  void failed(Time now) {
    ++row_;
    // Those that were under way when it opened make the pause no longer.
    if (row_ < most_ || (open_ && now < until_)) return;
    pause_ = pause_ == 0 ? first_pause_ : std::min(2 * pause_, kLongestPause);
    open_ = true;
    until_ = now + std::chrono::duration_cast<Time::duration>(Seconds(pause_));
  }

  // Whether a request may be sent, with so many under way: while it is open none, then a single one.
  bool allows(Time now, int64_t in_flight) const { return !open_ || (now >= until_ && in_flight == 0); }
  bool open() const { return open_; }
  Time until() const { return until_; }  // of a pause
  // While answers are under way, which may take long, the clock stands.
  double seconds_without_answer(Time now) const { return open_ ? Seconds(now - answered_).count() : waited_; }

 private:
  static constexpr double kLongestPause = 60;

  int most_, row_ = 0;
  double first_pause_, pause_ = 0, waited_ = 0;
  bool open_ = false;
  Time answered_, until_{};
};

}  // namespace fieldprint
