#include "base/thread_pool.h"

#include <sched.h>

#include <cassert>
#include <chrono>

namespace fieldprint {
namespace {

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// Long enough to bridge the serial work between two loops of a decode step, short enough to leave the core soon after.
constexpr auto kSpinTime = std::chrono::microseconds(200);

// Spins until `ready`, first hot, then yielding (more threads than cores must not starve each other); false on
// time-out.
template <class Ready>
bool spin(Ready&& ready) {
  for (int i = 0; i < 2000; ++i) {
    if (ready()) return true;
    pause();
  }
  const auto end = std::chrono::steady_clock::now() + kSpinTime;
  while (std::chrono::steady_clock::now() < end) {
    if (ready()) return true;
    sched_yield();
  }
  return ready();
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
  assert(threads >= 1);
  for (int i = 1; i < threads; ++i) workers_.emplace_back([this, i] { work(i); });
}

ThreadPool::~ThreadPool() {
  stop_.store(true);
  epoch_.fetch_add(1);
  epoch_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::run_erased(int64_t count, Function function, void* context) {
  function_ = function;
  context_ = context;
  count_ = count;
  next_.store(0, std::memory_order_relaxed);
  busy_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
  epoch_.fetch_add(1, std::memory_order_release);
  epoch_.notify_all();
  drain(0);
  while (!spin([this] { return busy_.load(std::memory_order_acquire) == 0; })) {
    if (const int left = busy_.load(std::memory_order_acquire)) busy_.wait(left, std::memory_order_acquire);
  }
}

void ThreadPool::drain(int thread) {
  for (;;) {
    const int64_t i = next_.fetch_add(1, std::memory_order_relaxed);
    if (i >= count_) return;
    function_(context_, i, thread);
  }
}

void ThreadPool::work(int thread) {
  uint32_t seen = 0;
  for (;;) {
    while (!spin([&] { return epoch_.load(std::memory_order_acquire) != seen; })) {
      epoch_.wait(seen, std::memory_order_acquire);
    }
    seen = epoch_.load(std::memory_order_acquire);
    if (stop_.load()) return;
    drain(thread);
    if (busy_.fetch_sub(1, std::memory_order_release) == 1) busy_.notify_all();
  }
}

int hardware_threads() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
  return static_cast<int>(std::thread::hardware_concurrency());
}

}  // namespace fieldprint
