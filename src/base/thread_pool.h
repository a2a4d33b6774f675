// A fixed team of threads for short parallel loops: a decode step has some hundred of them, so a start and its barrier
// cost about a microsecond on two cores, three on sixteen (bench/thread_pool_bench.cpp). The caller works too. A loop
// ends when its indices are done: a worker that wakes late finds the gate closed and is not waited for, so more threads
// than cores cost next to nothing.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <type_traits>
#include <vector>

namespace fieldprint {

class ThreadPool {
 public:
  // `threads` >= 1, the caller included. Where the system refuses to start so many, the pool has fewer: see threads().
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return threads_; }

  // The index that `thread` most likely runs after i of `count`; -1: not known.
  int64_t after(int64_t i, int64_t count, int thread) const {
    const int64_t share = ((i + 1) * shares_ + count - 1) / count - 1;  // that i is of
    if (share == thread % shares_) return i + 1 < first_of(share + 1, count) ? i + 1 : -1;
    return i > first_of(share, count) ? i - 1 : -1;
  }

  // Calls task(i, thread) once for every i in [0, count) and returns when all are done. Indices are dealt one by one: a
  // thread goes through a share of its own in order, so that the next one is likely the index after, and then
  // takes from the ends of the others'. One caller at a time. `thread` is in [0, threads()). The task must not throw.
  template <class Task>
  void run(int64_t count, Task&& task) {
    if (count <= 1 || threads() == 1) {
      for (int64_t i = 0; i < count; ++i) task(i, 0);
      return;
    }
    run_erased(
        count,
        [](void* context, int64_t i, int thread) {
          (*static_cast<std::remove_reference_t<Task>*>(context))(i, thread);
        },
        const_cast<void*>(static_cast<const void*>(&task)));
  }

 private:
  using Function = void (*)(void* context, int64_t index, int thread);
  bool start(int workers);
  void end();
  void run_erased(int64_t count, Function function, void* context);
  void wake(int64_t count);
  void wait_for_workers(uint32_t turn);
  void work(int thread);
  bool enter(int thread, uint32_t* seen);
  void leave(int thread);
  void drain(int thread);
  void deal(int64_t count);
  int64_t claim(int thread);
  int64_t first_of(int64_t share, int64_t count) const { return count * share / shares_; }

  // A line of its own each, so that threads that start or end together do not queue for one.
  struct alignas(64) Line {
    std::atomic<uint32_t> turn{0};  // of the gate when the worker went in; 0: it is outside
  };
  struct alignas(64) Share {
    std::atomic<uint64_t> left{0};  // its end in the low half, its begin in the high
  };
  static constexpr int kMaxShares = 64;  // more threads than shares go together

  int threads_;
  const int cores_;
  int shares_;
  std::vector<std::thread> workers_;
  std::unique_ptr<Line[]> inside_;  // [threads_]
  // The job, its shares too: written while the gate is shut and nobody is inside, read by those who have entered.
  Function function_ = nullptr;
  void* context_ = nullptr;
  Share share_[kMaxShares];
  // Counts openings and shuttings, so odd while it is open; sleeping workers wait on it. 0 until all are started.
  alignas(64) std::atomic<uint32_t> gate_{0};
  alignas(64) std::atomic<int> sleeping_{0}, spinning_{0};
  std::atomic<bool> stop_{false};
};

int hardware_threads();  // cores this process may use (affinity respected)

}  // namespace fieldprint
