// Ctrl-C and its kin as a flag that long work looks at, so that it can stop in order.
#pragma once

#include <signal.h>

#include <array>
#include <atomic>
#include <functional>

namespace fieldprint::cli {

// Thrown where work was given up because of a signal; the program ends with 128 + the signal's number.
struct Interrupted {};

// While one lives, SIGINT, SIGTERM and SIGHUP set the flag instead of ending the program. A third signal before the
// flag was cleared ends it the hard way, should the work not listen.
class SignalGuard {
 public:
  SignalGuard();
  ~SignalGuard();
  SignalGuard(const SignalGuard&) = delete;
  SignalGuard& operator=(const SignalGuard&) = delete;

 private:
  static constexpr std::array kStops{SIGINT, SIGTERM, SIGHUP};
  std::array<struct sigaction, kStops.size()> previous_;
  struct sigaction previous_winch_;
};

const std::atomic<bool>* interrupt_flag();
bool interrupted();
void clear_interrupt();
int interrupt_exit_code();  // 130 after SIGINT

// work() on this thread; once a signal came, stop() on another, which is to make it return. Under a SignalGuard.
void until_interrupted(const std::function<void()>& work, const std::function<void()>& stop);

// For a loop that waits on the keyboard: readable once a signal came (whichever thread took it) or the window changed
// size.
int signal_fd();
bool window_changed();  // since the last call; also empties signal_fd()

}  // namespace fieldprint::cli
