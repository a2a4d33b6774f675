#include "distil/runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/rng.h"
#include "fieldprint/error.h"

namespace fieldprint {
namespace {

constexpr double kLongestBackoff = 60, kLongestWait = 600;  // seconds; what a server may ask for
constexpr double kFirstBreak = 2;                           // seconds
constexpr int64_t kAllRefused = 20;                         // rows, and none answered: it is not the rows
constexpr auto kWatch = std::chrono::milliseconds(200);

std::chrono::steady_clock::duration duration(double seconds) {
  return std::chrono::duration_cast<std::chrono::steady_clock::duration>(std::chrono::duration<double>(seconds));
}

}  // namespace

double backoff_seconds(std::string_view key, int attempt, double base) {
  const uint64_t seed = std::stoull(std::string(key.substr(16, 16)), nullptr, 16) + static_cast<uint64_t>(attempt);
  return Rng(seed).uniform() * std::min(kLongestBackoff, base * std::pow(2, attempt - 1));
}

double DistilState::seconds_left() const {
  const int64_t now = done + failed, left = rows - found - now;
  if (left <= 0) return 0;
  return now > 0 && seconds > 0 ? seconds / static_cast<double>(now) * static_cast<double>(left) : -1;
}

Runner::Runner(const DistilOptions& options, const Work& work, std::vector<size_t> jobs, Teacher& teacher,
               RowsFile& file)
    : options_(options),
      work_(work),
      teacher_(teacher),
      file_(file),
      most_(std::max(1, options.concurrency > 0       ? options.concurrency
                        : teacher.most_requests() > 0 ? teacher.most_requests()
                                                      : 32)),
      jobs_(std::move(jobs)),
      limit_(most_, teacher.most_requests() == 0),
      breaker_(options.breaker_failures, std::min(kFirstBreak, options.give_up_seconds), Clock::now()),
      budget_(options) {}

DistilEnd Runner::run(DistilState& state, const std::function<void(const DistilState&)>& watch,
                      const std::function<void(const TeacherRow&)>& each, const std::atomic<bool>* stop) {
  state_ = state;
  std::vector<std::jthread> threads;
  for (size_t i = 0; i < std::min(static_cast<size_t>(most_), jobs_.size()); ++i)
    threads.emplace_back([this] { work_on(); });
  threads.emplace_back([this](const std::stop_token& token) { watch_queue(token); });
  // However this ends, nobody is left waiting.
  struct Stop {
    Runner& runner;
    ~Stop() {
      const std::lock_guard lock(runner.mutex_);
      runner.end(DistilEnd::kStopped, true);
    }
  } stopped{*this};

  Lock lock(mutex_);
  for (Clock::time_point last = Clock::now();;) {
    const bool idle = state_.in_flight == 0;
    written_.wait_for(lock, kWatch, [&] { return !finished_.empty() || thrown_; });
    std::vector<RowsFile::Finished> batch = std::exchange(finished_, {});
    const bool all = batch.empty() && state_.in_flight == 0 && (end_ || (next_ == jobs_.size() && again_.empty()));
    if (all || thrown_) end(DistilEnd::kDone, true);
    const Clock::time_point now = Clock::now();
    if (idle && state_.in_flight == 0) breaker_.waited(std::chrono::duration<double>(now - last).count());
    last = now;
    state_.seconds = seconds();
    state_.limit = limit_.now();
    state_.waiting = breaker_.open();
    state = state_;
    lock.unlock();
    if (!batch.empty()) file_.append(batch);
    for (const auto& finished : batch) each(finished.row);
    if (watch) watch(state);
    lock.lock();
    if (stop != nullptr && *stop) end(DistilEnd::kStopped, true);
    if (breaker_.seconds_without_answer(Clock::now()) > options_.give_up_seconds) end(DistilEnd::kGaveUp, true);
    if (all || thrown_) break;
  }
  if (thrown_) std::rethrow_exception(thrown_);
  return *end_;
}

// Once: the first reason stands. Under the lock.
void Runner::end(DistilEnd why, bool at_once) {
  if (!end_) end_ = why;
  if (at_once && !std::exchange(at_once_, true)) teacher_.stop();
  changed_.notify_all();
}

void Runner::work_on() {
  Lock lock(mutex_);
  Attempt attempt;
  while (take(attempt, lock)) {
    ++state_.in_flight;
    lock.unlock();
    const Clock::time_point begun = Clock::now();
    TeacherAnswer answer;
    std::exception_ptr thrown;
    try {
      answer = teacher_.ask(work_.request(work_.jobs[attempt.job]));
    } catch (...) {
      thrown = std::current_exception();
    }
    lock.lock();
    --state_.in_flight;
    if (thrown) {
      if (!thrown_) thrown_ = thrown;
      end(DistilEnd::kStopped, true);
    } else {
      settle(attempt, std::move(answer), begun);
    }
    changed_.notify_all();
    written_.notify_one();
  }
}

// The next attempt that may be made now; waits for it. False: there will be none. Under the lock.
bool Runner::take(Attempt& attempt, Lock& lock) {
  for (;;) {
    if (end_) return false;
    const Clock::time_point now = Clock::now();
    const bool retry = !again_.empty() && again_.top().due <= now, fresh = next_ < jobs_.size();
    if (!fresh && again_.empty() && state_.in_flight == 0) return false;
    if ((retry || fresh) && state_.in_flight < limit_.now() && breaker_.allows(now, state_.in_flight)) {
      if (const auto spent = budget_.spent(seconds(), state_.in_flight)) {
        end(*spent, false);
        return false;
      }
      if (retry) {
        attempt = again_.top();
        again_.pop();
      } else {
        attempt = {.job = jobs_[next_++]};
      }
      return true;
    }
    // What is due by the clock; all else comes with a notice.
    Clock::time_point until = now + std::chrono::seconds(1);
    if (breaker_.open() && breaker_.until() > now) until = std::min(until, breaker_.until());
    if (!again_.empty() && again_.top().due > now) until = std::min(until, again_.top().due);
    changed_.wait_until(lock, until);
  }
}

// Under the lock.
void Runner::settle(const Attempt& attempt, TeacherAnswer answer, Clock::time_point begun) {
  using Next = TeacherAnswer::Next;
  const Clock::time_point now = Clock::now();
  if (answer.failure == "cancelled") return;
  if (answer.failure.empty()) {
    ++answered_;
    limit_.succeeded(answer.first_byte);
    breaker_.succeeded(now);
    return finish(attempt, std::move(answer));
  }
  state_.trouble = answer.detail;
  if (answer.next == Next::kStop) {
    if (!thrown_)
      thrown_ = std::make_exception_ptr(Error(ErrorKind::kIo, "the teacher refuses: " + answer.detail, {},
                                              "look at its name and its key; what is on disk stays"));
    return end(DistilEnd::kStopped, true);
  }
  if (answer.next == Next::kRow) {
    breaker_.succeeded(now);  // it answers
    finish(attempt, std::move(answer));
    if (++refused_ == kAllRefused && answered_ == 0 && !thrown_) {
      thrown_ = std::make_exception_ptr(
          Error(ErrorKind::kIo, fmt::format("the teacher refused the first {} rows: {}", refused_, state_.trouble), {},
                "is it asked for something that it does not know?"));
      end(DistilEnd::kStopped, true);
    }
    return;
  }
  breaker_.failed(now);
  if (answer.next == Next::kBusy) limit_.congested(begun, now);
  if (attempt.number >= options_.attempts) return finish(attempt, std::move(answer));
  ++state_.retries;
  const double wait = std::max(backoff_seconds(work_.jobs[attempt.job].key, attempt.number, options_.backoff_seconds),
                               std::min(answer.retry_after.value_or(0), kLongestWait));
  again_.push({attempt.job, attempt.number + 1, now + duration(wait)});
}

// A row, for better or worse. Under the lock.
void Runner::finish(const Attempt& attempt, TeacherAnswer answer) {
  RowsFile::Finished finished{work_.row(work_.jobs[attempt.job], teacher_.identity()), {}};
  TeacherRow& row = finished.row;
  if (!answer.failure.empty()) {
    row.failure = std::move(answer.failure);
    row.detail = std::move(answer.detail);
    row.attempts = attempt.number;
    ++state_.failed;
  } else {
    row.reasoning = std::move(answer.reasoning);
    row.content = std::move(answer.content);
    row.unclosed = answer.unclosed;
    row.finish_reason = std::move(answer.finish_reason);
    row.tool_calls = std::move(answer.tool_calls);
    row.prompt_ids = std::move(answer.prompt_ids);
    row.token_ids = std::move(answer.token_ids);
    row.prompt_tokens = answer.prompt_tokens;
    row.completion_tokens = answer.completion_tokens;
    finished.top = std::move(answer.top);
    ++state_.done;
    if (is_cut(row)) ++state_.cut;
    const SpentTokens spent = spent_tokens(row);
    state_.prompt_tokens += spent.prompt;
    state_.tokens += spent.completion;
    budget_.add(spent.prompt, spent.completion);
  }
  finished_.push_back(std::move(finished));
}

// The server's own queue, as long as it tells.
void Runner::watch_queue(const std::stop_token& stop) {
  if (teacher_.most_requests() > 0) return;
  Lock lock(mutex_);
  while (!stop.stop_requested() && !at_once_) {
    changed_.wait_for(lock, std::chrono::seconds(1), [&] { return at_once_; });
    if (at_once_ || state_.in_flight == 0) continue;
    lock.unlock();
    const std::optional<int> waiting = teacher_.waiting();
    lock.lock();
    if (!waiting) return;
    limit_.queue(*waiting, Clock::now());
  }
}

}  // namespace fieldprint
