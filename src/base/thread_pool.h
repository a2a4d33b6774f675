// A fixed team of threads for short parallel loops: a decode step has some hundred of them, so a start and its barrier
// cost about a microsecond. Waiting threads spin briefly, then sleep; the caller works too.
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
  explicit ThreadPool(int threads);  // >= 1, the caller included
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  // Calls task(i, thread) once for every i in [0, count), indices dealt out one by one, and returns when all are done.
  // One caller at a time. `thread` is in [0, threads()). The task must not throw.
  template <class Task>
  void run(int64_t count, Task&& task) {
    if (count <= 1 || workers_.empty()) {
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
  void run_erased(int64_t count, Function function, void* context);
  void work(int thread);
  void drain(int thread);

  std::vector<std::thread> workers_;
  // The job; written by the caller before `epoch_` moves, read by workers after.
  Function function_ = nullptr;
  void* context_ = nullptr;
  int64_t count_ = 0;
  alignas(64) std::atomic<uint32_t> epoch_{0};
  alignas(64) std::atomic<int64_t> next_{0};
  alignas(64) std::atomic<int> busy_{0};  // workers still inside the current job
  std::atomic<bool> stop_{false};
};

int hardware_threads();  // cores this process may use (affinity respected)

}  // namespace fieldprint
