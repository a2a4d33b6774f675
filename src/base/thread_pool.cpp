#include "base/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <cassert>
#include <chrono>
#include <exception>

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

constexpr bool is_open(uint32_t gate) { return gate % 2 == 1; }

constexpr uint64_t range(int64_t begin, int64_t end) {
  return static_cast<uint64_t>(begin) << 32 | static_cast<uint64_t>(end);
}
constexpr int64_t begin_of(uint64_t range) { return static_cast<int64_t>(range >> 32); }
constexpr int64_t end_of(uint64_t range) { return static_cast<int64_t>(range & 0xffffffffu); }

}  // namespace

ThreadPool::ThreadPool(int threads)
    : threads_(threads),
      cores_(hardware_threads()),
      shares_(std::min({threads, cores_, kMaxShares})),
      inside_(std::make_unique<Line[]>(static_cast<size_t>(threads))) {
  assert(threads >= 1);
  if (!start(threads - 1)) {
    // A limit of processes or of memory. No more than there are cores go on: the others' stacks would be missed.
    if (const int useful = cores_ - 1; static_cast<int>(workers_.size()) > useful) {
      end();
      gate_.store(0);
      stop_.store(false);
      start(useful);
    }
    threads_ = static_cast<int>(workers_.size()) + 1;
    shares_ = std::min(threads_, shares_);
  }
  gate_.store(2);  // from here on the workers look at the members
  gate_.notify_all();
}

ThreadPool::~ThreadPool() { end(); }

// False where the system refused one of them.
bool ThreadPool::start(int workers) {
  try {
    workers_.reserve(static_cast<size_t>(workers));
    for (int i = 1; i <= workers; ++i) workers_.emplace_back([this, i] { work(i); });
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

void ThreadPool::end() {
  stop_.store(true);
  gate_.fetch_add(2);
  gate_.notify_all();
  for (std::thread& worker : workers_) worker.join();
  workers_.clear();
}

void ThreadPool::run_erased(int64_t count, Function function, void* context) {
  function_ = function;
  context_ = context;
  deal(count);
  const uint32_t turn = gate_.fetch_add(1) + 1;
  wake(count);
  drain(0);
  gate_.fetch_add(1);
  wait_for_workers(turn);
}

// Rouses sleepers, as many as have an index and a core to work on.
void ThreadPool::wake(int64_t count) {
  const int sleeping = sleeping_.load();
  if (sleeping == 0) return;
  const auto wanted = static_cast<int>(std::min<int64_t>({count, cores_, threads_})) - 1;
  const int awake = threads_ - 1 - sleeping;
  for (int i = awake; i < wanted; ++i) gate_.notify_one();
}

// Whoever went in on `turn` has said so before the gate was shut (see enter()).
void ThreadPool::wait_for_workers(uint32_t turn) {
  for (int i = 1; i < threads_; ++i) {
    std::atomic<uint32_t>& inside = inside_[static_cast<size_t>(i)].turn;
    while (!spin([&] { return inside.load() != turn; })) inside.wait(turn);
  }
}

void ThreadPool::drain(int thread) {
  for (int64_t i; (i = claim(thread)) >= 0;) function_(context_, i, thread);
}

void ThreadPool::deal(int64_t count) {
  assert(count < int64_t{1} << 32);
  for (int64_t s = 0; s < shares_; ++s)
    share_[s].left.store(range(first_of(s, count), first_of(s + 1, count)), std::memory_order_relaxed);
}

// An index not yet taken, the first of the thread's own share or the last of another's; -1: there is none.
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

// Goes in where the gate is open and has been opened since `seen`. A worker says that it is inside and looks at the
// gate again; the caller shuts the gate and looks who is inside: in one order of all four (sequential consistency) at
// least one of them sees the other.
bool ThreadPool::enter(int thread, uint32_t* seen) {
  std::atomic<uint32_t>& inside = inside_[static_cast<size_t>(thread)].turn;
  for (;;) {
    const uint32_t gate = gate_.load();
    if (!is_open(gate) || gate == *seen) return false;
    inside.store(gate);
    if (gate_.load() == gate) {
      *seen = gate;
      return true;
    }
    leave(thread);
  }
}

void ThreadPool::leave(int thread) {
  std::atomic<uint32_t>& inside = inside_[static_cast<size_t>(thread)].turn;
  inside.store(0);
  inside.notify_one();
}

void ThreadPool::work(int thread) {
  gate_.wait(0);
  const bool crowded = threads_ > cores_;  // then no more spin than there are cores beside the caller's
  uint32_t seen = 0;
  for (;;) {
    const uint32_t gate = gate_.load();
    if (stop_.load()) return;
    bool entered = enter(thread, &seen);
    if (!entered) {
      if (!crowded || spinning_.fetch_add(1, std::memory_order_relaxed) < cores_ - 1)
        spin([&] { return (entered = enter(thread, &seen)) || stop_.load(std::memory_order_relaxed); });
      if (crowded) spinning_.fetch_sub(1, std::memory_order_relaxed);
    }
    if (entered) {
      drain(thread);
      leave(thread);
    } else if (!stop_.load()) {
      sleeping_.fetch_add(1);
      gate_.wait(gate);
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
