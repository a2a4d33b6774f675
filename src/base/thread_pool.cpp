#include "base/thread_pool.h"

#include <sched.h>

#include <algorithm>
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
constexpr int kHotSpins = 1000;

// Spins until `ready`, first hot, then yielding: on a busy machine the thread waited for may want this core. False on
// time-out.
template <class Ready>
bool spin(Ready&& ready) {
  for (int i = 0; i < kHotSpins; ++i) {
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

constexpr uint32_t kTurn = 1u << 16;  // one opening or shutting of the gate
constexpr uint32_t turn(uint32_t gate) { return gate / kTurn; }
constexpr uint32_t inside(uint32_t gate) { return gate % kTurn; }
constexpr bool is_open(uint32_t gate) { return turn(gate) % 2 == 1; }

constexpr uint64_t range(int64_t begin, int64_t end) {
  return static_cast<uint64_t>(begin) << 32 | static_cast<uint64_t>(end);
}
constexpr int64_t begin_of(uint64_t range) { return static_cast<int64_t>(range >> 32); }
constexpr int64_t end_of(uint64_t range) { return static_cast<int64_t>(range & 0xffffffffu); }

}  // namespace

ThreadPool::ThreadPool(int threads)
    : threads_(threads), cores_(hardware_threads()), shares_(std::min(threads, kMaxShares)) {
  assert(threads >= 1);
  for (int i = 1; i < threads; ++i) workers_.emplace_back([this, i] { work(i); });
}

ThreadPool::~ThreadPool() {
  stop_.store(true);
  jobs_.fetch_add(1);
  jobs_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::run_erased(int64_t count, Function function, void* context) {
  if (rehearsal_.threads > 0) return rehearse_loop(count, function, context);
  function_ = function;
  context_ = context;
  deal(count);
  gate_.fetch_add(kTurn, std::memory_order_release);
  wake(count);
  drain(0);
  gate_.fetch_add(kTurn, std::memory_order_relaxed);
  wait_for_workers();
}

void ThreadPool::rehearse_loop(int64_t count, Function function, void* context) {
  using Clock = std::chrono::steady_clock;
  std::vector<double> busy(static_cast<size_t>(rehearsal_.threads));
  for (int64_t i = 0; i < count; ++i) {
    const auto first = std::min_element(busy.begin(), busy.end());
    const auto start = Clock::now();
    function(context, i, static_cast<int>(first - busy.begin()));
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    *first += seconds;
    rehearsal_.alone += seconds;
  }
  rehearsal_.together += *std::max_element(busy.begin(), busy.end());
  ++rehearsal_.loops;
}

// Rouses sleepers, as many as have an index and a core to work on.
void ThreadPool::wake(int64_t count) {
  jobs_.fetch_add(1);
  const int sleeping = sleeping_.load();
  if (sleeping == 0) return;
  const auto wanted = static_cast<int>(std::min<int64_t>({count, cores_, threads_})) - 1;
  const int awake = threads_ - 1 - sleeping;
  for (int i = awake; i < wanted; ++i) jobs_.notify_one();
}

void ThreadPool::wait_for_workers() {
  while (!spin([this] { return inside(gate_.load(std::memory_order_acquire)) == 0; })) {
    const uint32_t gate = gate_.load(std::memory_order_acquire);
    if (inside(gate) > 0) gate_.wait(gate, std::memory_order_acquire);
  }
}

void ThreadPool::drain(int thread) {
  for (int64_t i; (i = claim(thread)) >= 0;) function_(context_, i, thread);
}

void ThreadPool::deal(int64_t count) {
  assert(count < int64_t{1} << 32);
  for (int64_t s = 0; s < shares_; ++s)
    share_[s].left.store(range(count * s / shares_, count * (s + 1) / shares_), std::memory_order_relaxed);
}

// An index nobody has, the first of the thread's own share or the last of another's; -1: there is none.
int64_t ThreadPool::claim(int thread) {
  for (int s = 0; s < shares_; ++s) {
    std::atomic<uint64_t>& share = share_[(thread + s) % shares_].left;
    uint64_t left = share.load(std::memory_order_relaxed);
    while (begin_of(left) < end_of(left)) {
      const uint64_t rest = s == 0 ? range(begin_of(left) + 1, end_of(left)) : range(begin_of(left), end_of(left) - 1);
      if (share.compare_exchange_weak(left, rest, std::memory_order_relaxed))
        return s == 0 ? begin_of(left) : end_of(left) - 1;
    }
  }
  return -1;
}

// Goes in where the gate is open and has been opened since `seen`.
bool ThreadPool::enter(uint32_t* seen) {
  uint32_t gate = gate_.load(std::memory_order_relaxed);
  while (is_open(gate) && turn(gate) != *seen) {
    if (gate_.compare_exchange_weak(gate, gate + 1, std::memory_order_acquire, std::memory_order_relaxed)) {
      *seen = turn(gate);
      return true;
    }
  }
  return false;
}

void ThreadPool::work(int thread) {
  uint32_t seen = 0;
  for (;;) {
    const uint32_t jobs = jobs_.load();
    if (stop_.load()) return;
    bool entered = enter(&seen);
    if (!entered) {  // no more spin than there are cores beside the caller's
      if (spinning_.fetch_add(1, std::memory_order_relaxed) < cores_ - 1)
        spin([&] { return (entered = enter(&seen)) || stop_.load(std::memory_order_relaxed); });
      spinning_.fetch_sub(1, std::memory_order_relaxed);
    }
    if (entered) {
      drain(thread);
      const uint32_t gate = gate_.fetch_sub(1, std::memory_order_release) - 1;
      if (inside(gate) == 0 && !is_open(gate)) gate_.notify_all();
    } else if (!stop_.load()) {
      sleeping_.fetch_add(1);
      jobs_.wait(jobs);
      sleeping_.fetch_sub(1);
    }
  }
}

int hardware_threads() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
  return static_cast<int>(std::thread::hardware_concurrency());
}

}  // namespace fieldprint
