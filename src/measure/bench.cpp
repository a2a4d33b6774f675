// How fast a model runs, beside what the machine could do at most, measured by the same threads in the same minute.
#include "fieldprint/bench.h"

#include <algorithm>
#include <chrono>
#include <memory>

#include "base/rng.h"
#include "engine/stepper.h"
#include "fieldprint/error.h"
#include "measure/ceilings.h"

namespace fieldprint {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// One measured run: what it took and did. Of streams, `seconds` is of both phases, the rest of the steps alone.
struct Measured {
  double seconds = 0, decode_seconds = 0;
  Work work;
};

class Runner {
 public:
  Runner(std::shared_ptr<const LoadedModel> model, const BenchTask& task, const SessionOptions& options)
      : task_(task), stepper_(std::make_shared<Stepper>(std::move(model), options)), chunk_(stepper_->chunk()) {
    const int after = task.kind == BenchTask::Kind::kStreams ? task.tokens + task.answer : task.tokens;
    stepper_->check_size(static_cast<size_t>(task.depth) + static_cast<size_t>(after));
    for (int i = 0; i < task.streams; ++i) sequences_.push_back(stepper_->begin());
  }

  // Tokens before the measured ones, stream by stream.
  void fill(const std::function<void()>& go_on) {
    for (Sequence& sequence : sequences_) {
      for (int done = 0; done < task_.depth; done += chunk_) {
        go_on();
        stepper_->step(sequence, random_tokens(std::min(chunk_, task_.depth - done)), LogitRows::kNone);
      }
    }
  }

  Measured run() {
    for (Sequence& sequence : sequences_) stepper_->truncate(sequence, task_.depth);
    const auto start = Clock::now();
    Work before = stepper_->work();
    Measured out;
    if (task_.kind == BenchTask::Kind::kDecode) {
      decode(task_.tokens);
    } else {
      prefill();
      if (task_.kind == BenchTask::Kind::kStreams) {
        const auto middle = Clock::now();
        before = stepper_->work();
        decode(task_.answer);
        out.decode_seconds = seconds_since(middle);
      }
    }
    out.seconds = seconds_since(start);
    const Work after = stepper_->work();
    out.work = {after.bytes - before.bytes, after.int8_operations - before.int8_operations,
                after.float_operations - before.float_operations};
    return out;
  }

 private:
  std::vector<TokenId> random_tokens(int count) {
    std::vector<TokenId> tokens(static_cast<size_t>(count));
    for (TokenId& token : tokens) token = static_cast<TokenId>(rng_.below(stepper_->model().info().vocabulary));
    return tokens;
  }

  // All prompts, in steps of at most `chunk_` tokens that begin a new stream where one ends.
  void prefill() {
    std::vector<std::vector<TokenId>> tokens;
    std::vector<StepPart> parts;
    int room = chunk_;
    const auto flush = [&] {
      if (!parts.empty()) stepper_->step(parts);
      parts.clear();
      tokens.clear();
      room = chunk_;
    };
    for (Sequence& sequence : sequences_) {
      for (int done = 0; done < task_.tokens;) {
        const int count = std::min(room, task_.tokens - done);
        done += count;
        room -= count;
        tokens.push_back(random_tokens(count));
        parts.push_back({&sequence, tokens.back(), done == task_.tokens ? LogitRows::kLast : LogitRows::kNone});
        if (room == 0) flush();
      }
    }
    flush();
  }

  void decode(int steps) {
    for (int i = 0; i < steps; ++i) {
      const auto tokens = random_tokens(task_.streams);
      std::vector<StepPart> parts;
      for (size_t s = 0; s < sequences_.size(); ++s)
        parts.push_back({&sequences_[s], std::span(tokens).subspan(s, 1), LogitRows::kLast});
      stepper_->step(parts);
    }
  }

  const BenchTask task_;
  std::shared_ptr<Stepper> stepper_;
  int chunk_;
  std::vector<Sequence> sequences_;
  Rng rng_{1};
};

}  // namespace

Ceilings measure_ceilings(const Model& model) {
  const LoadedModel& own = loaded(model);
  const std::lock_guard lock(own.step_mutex());
  return measure_ceilings(own.pool(), own.kernels());
}

BenchRow bench(std::shared_ptr<const Model> model, const BenchTask& task, const SessionOptions& options, int repeats,
               const Progress& progress) {
  const bool streams = task.kind == BenchTask::Kind::kStreams;
  if (task.tokens < 1 || task.depth < 0 || repeats < 1 || task.streams < 1 || (streams && task.answer < 1))
    throw Error(ErrorKind::kUsage, "a benchmark wants at least one token, one stream and one repeat");
  const auto go_on = [&](int done) {
    if (progress && !progress("benchmark", static_cast<uint64_t>(done), static_cast<uint64_t>(repeats) + 1))
      throw Error(ErrorKind::kLimit, "stopped");
  };
  BenchTask alone = task;
  if (!streams) alone.streams = 1;
  Runner runner(loaded(std::move(model)), alone, options);
  runner.fill([&] { go_on(0); });
  std::vector<Measured> runs;
  for (int repeat = 0; repeat <= repeats; ++repeat) {  // the first warms up
    go_on(repeat);
    const Measured run = runner.run();
    if (repeat > 0) runs.push_back(run);
    else if (options.profile != nullptr) options.profile->clear();
  }
  std::sort(runs.begin(), runs.end(), [](const Measured& a, const Measured& b) { return a.seconds > b.seconds; });
  const double tokens = streams ? static_cast<double>(task.streams) * task.answer : task.tokens;
  const Measured& middle = runs[runs.size() / 2];
  const double seconds = streams ? middle.decode_seconds : middle.seconds;
  BenchRow row;
  row.task = task;
  row.median = tokens / middle.seconds;
  row.least = tokens / runs.front().seconds;
  row.most = tokens / runs.back().seconds;
  if (streams) row.decode_rate = tokens / seconds;
  row.bytes_per_second = static_cast<double>(middle.work.bytes) / seconds;
  row.int8_operations_per_second = static_cast<double>(middle.work.int8_operations) / seconds;
  row.float_operations_per_second = static_cast<double>(middle.work.float_operations) / seconds;
  return row;
}

}  // namespace fieldprint
