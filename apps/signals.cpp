#include "signals.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <thread>

namespace fieldprint::cli {

namespace {

std::atomic<bool> flag{false};
std::atomic<bool> resized{false};
std::atomic<int> last_signal{SIGINT}, unheard{0};
std::array<int, 2> wake{-1, -1};
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free);

void wake_up() {
  const int saved = errno;
  const char byte = 0;
  [[maybe_unused]] const auto written = ::write(wake[1], &byte, 1);
  errno = saved;
}

void on_stop(int signal) {
  last_signal = signal;
  flag = true;
  if (++unheard >= 3) {
    ::signal(signal, SIG_DFL);
    ::raise(signal);
  }
  wake_up();
}

void on_resize(int) {
  resized = true;
  wake_up();
}

}  // namespace

SignalGuard::SignalGuard() {
  if (wake[0] < 0 && ::pipe2(wake.data(), O_CLOEXEC | O_NONBLOCK) != 0) wake = {-1, -1};
  struct sigaction action = {};
  sigemptyset(&action.sa_mask);
  action.sa_handler = on_stop;
  for (size_t i = 0; i < kStops.size(); ++i) {
    ::sigaction(kStops[i], nullptr, &previous_[i]);
    if (previous_[i].sa_handler != SIG_IGN) ::sigaction(kStops[i], &action, nullptr);  // nohup stays nohup
  }
  action.sa_handler = on_resize;
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGWINCH, &action, &previous_winch_);
}

SignalGuard::~SignalGuard() {
  for (size_t i = 0; i < kStops.size(); ++i) ::sigaction(kStops[i], &previous_[i], nullptr);
  ::sigaction(SIGWINCH, &previous_winch_, nullptr);
}

const std::atomic<bool>* interrupt_flag() { return &flag; }
bool interrupted() { return flag; }

void clear_interrupt() {
  flag = false;
  unheard = 0;
}

int interrupt_exit_code() { return 128 + last_signal; }

void until_interrupted(const std::function<void()>& work, const std::function<void()>& stop) {
  const std::jthread watcher([&stop](const std::stop_token& done) {
    while (!done.stop_requested() && !interrupted()) std::this_thread::sleep_for(std::chrono::milliseconds(50));
    stop();
  });
  work();
}

int signal_fd() { return wake[0]; }

bool window_changed() {
  char bytes[64];
  while (::read(wake[0], bytes, sizeof bytes) > 0) {
  }
  return resized.exchange(false);
}

}  // namespace fieldprint::cli
