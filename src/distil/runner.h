// Asks a teacher for rows until all are there: many requests at a time, other attempts where one failed, and an end
// where a budget is spent, somebody stops it, or nobody answers any more.
#pragma once

#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <queue>
#include <thread>
#include <vector>

#include "distil/breaker.h"
#include "distil/budget.h"
#include "distil/concurrency.h"
#include "distil/rows_file.h"
#include "distil/teacher.h"
#include "distil/work.h"

namespace fieldprint {

// Seconds to wait before another attempt: between nothing and twice as long each time ("full jitter", so that those who
// failed together do not come back together), the same for the same key and attempt.
double backoff_seconds(std::string_view key, int attempt, double base);

// One thread makes it and runs it.
class Runner {
 public:
  // All must outlive it. `jobs`: places in work.jobs that are to be asked.
  Runner(const DistilOptions& options, const Work& work, std::vector<size_t> jobs, Teacher& teacher, RowsFile& file);

  Budget& budget() { return budget_; }  // before run(): what is spent already
  // Fills in `state` (whose rows and found are the caller's), and calls watch(state) a few times a second and each(row)
  // for what is on disk now. Throws Error as run_distil().
  DistilEnd run(DistilState& state, const std::function<void(const DistilState&)>& watch,
                const std::function<void(const TeacherRow&)>& each, const std::atomic<bool>* stop);

 private:
  using Clock = std::chrono::steady_clock;
  using Lock = std::unique_lock<std::mutex>;
  struct Attempt {
    size_t job = 0;
    int number = 1;
    Clock::time_point due{};
    bool operator>(const Attempt& other) const { return std::pair(due, job) > std::pair(other.due, other.job); }
  };

  void work_on();
  bool take(Attempt& attempt, Lock& lock);
  void settle(const Attempt& attempt, TeacherAnswer answer, Clock::time_point begun);
  void finish(const Attempt& attempt, TeacherAnswer answer);
  void end(DistilEnd why, bool at_once);
  void watch_queue(const std::stop_token& stop);
  double seconds() const { return std::chrono::duration<double>(Clock::now() - begun_).count(); }

  const DistilOptions& options_;
  const Work& work_;
  Teacher& teacher_;
  RowsFile& file_;
  const Clock::time_point begun_ = Clock::now();
  int most_;  // requests at a time

  std::mutex mutex_;                           // of all that follows
  std::condition_variable changed_, written_;  // for workers; for run(): there is something to write
  std::vector<size_t> jobs_;
  size_t next_ = 0;  // of jobs_, that was not asked yet
  std::priority_queue<Attempt, std::vector<Attempt>, std::greater<>> again_;
  std::vector<RowsFile::Finished> finished_;
  ConcurrencyLimit limit_;
  Breaker breaker_;
  Budget budget_;
  DistilState state_;
  std::optional<DistilEnd> end_;  // nothing new is asked any more
  bool at_once_ = false;          // and what is under way is given up
  int64_t refused_ = 0, answered_ = 0;
  std::exception_ptr thrown_;
};

}  // namespace fieldprint
