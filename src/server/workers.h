// Threads for requests that wait: as many as there are requests at once, kept for the next ones.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace fieldprint::server {

class Workers {
 public:
  ~Workers() { join(); }

  // Runs `task`, which must not throw, on a thread that has nothing else to do. False where none can be had.
  bool run(std::function<void()> task) {
    const std::lock_guard lock(mutex_);
    if (idle_ <= tasks_.size()) {
      try {
        threads_.emplace_back([this] { work(); });
      } catch (const std::system_error&) {
        return false;
      }
      ++idle_;
    }
    tasks_.push_back(std::move(task));
    wake_.notify_one();
    return true;
  }

  // Waits until all tasks are done. No run() after it.
  void join() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

 private:
  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
      if (tasks_.empty()) return;
      const std::function<void()> task = std::move(tasks_.front());
      tasks_.pop_front();
      --idle_;
      lock.unlock();
      task();
      lock.lock();
      ++idle_;
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> tasks_;
  std::vector<std::thread> threads_;
  size_t idle_ = 0;  // threads without a task, those about to take one of tasks_ among them
  bool stopping_ = false;
};

}  // namespace fieldprint::server
