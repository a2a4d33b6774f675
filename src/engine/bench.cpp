// How fast a model runs, beside what the machine could do at most, measured by the same threads in the same minute.
#include <algorithm>
#include <chrono>
#include <memory>

#include "base/rng.h"
#include "engine/loaded_model.h"
#include "fieldprint/error.h"
#include "fieldprint/evaluate.h"

namespace fieldprint {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

constexpr size_t kReadBytes = 512 << 20;  // far beyond any cache; first touched by the threads that read it
constexpr size_t kReadPiece = 1 << 20;
constexpr int kCeilingRepeats = 3;
constexpr int64_t kBurstRounds = 2'000'000;

double read_bandwidth(ThreadPool& pool) {
  const std::unique_ptr<uint64_t[]> memory(new uint64_t[kReadBytes / sizeof(uint64_t)]);
  constexpr size_t kWords = kReadPiece / sizeof(uint64_t);
  const auto pieces = static_cast<int64_t>(kReadBytes / kReadPiece);
  pool.run(pieces, [&](int64_t i, int) { std::fill_n(memory.get() + static_cast<size_t>(i) * kWords, kWords, 1); });
  double best = 0;
  std::vector<uint64_t> sums(static_cast<size_t>(pieces));
  for (int repeat = 0; repeat < kCeilingRepeats; ++repeat) {
    const auto start = Clock::now();
    pool.run(pieces, [&](int64_t i, int) {
      const uint64_t* words = memory.get() + static_cast<size_t>(i) * kWords;
      uint64_t sum[8] = {};
      for (size_t w = 0; w < kWords; w += 8) {
        for (size_t j = 0; j < 8; ++j) sum[j] += words[w + j];
      }
      for (const uint64_t s : sum) sums[static_cast<size_t>(i)] += s;
    });
    best = std::max(best, static_cast<double>(kReadBytes) / seconds_since(start));
  }
  return best;
}

double burst_rate(ThreadPool& pool, int64_t (*burst)(int64_t, int64_t*)) {
  double best = 0;
  std::vector<int64_t> sinks(static_cast<size_t>(pool.threads())), done(sinks.size());
  for (int repeat = 0; repeat < kCeilingRepeats; ++repeat) {
    const auto start = Clock::now();
    pool.run(pool.threads(), [&](int64_t i, int) {
      done[static_cast<size_t>(i)] = burst(kBurstRounds, &sinks[static_cast<size_t>(i)]);
    });
    double operations = 0;
    for (const int64_t d : done) operations += static_cast<double>(d);
    best = std::max(best, operations / seconds_since(start));
  }
  return best;
}

}  // namespace

Ceilings measure_ceilings(const Model& model) {
  const auto& loaded = static_cast<const LoadedModel&>(model);
  const std::lock_guard lock(loaded.step_mutex());
  return {read_bandwidth(loaded.pool()), burst_rate(loaded.pool(), loaded.kernels().burst_int8),
          burst_rate(loaded.pool(), loaded.kernels().burst_f32)};
}

BenchRow bench(std::shared_ptr<const Model> model, const BenchTask& task, const SessionOptions& options, int repeats,
               const Progress& progress) {
  if (task.tokens < 1 || task.depth < 0 || repeats < 1)
    throw Error(ErrorKind::kUsage, "a benchmark wants at least one token and one repeat");
  Session session(model, options);
  Rng rng(1);
  const auto random_tokens = [&](int count) {
    std::vector<TokenId> tokens(static_cast<size_t>(count));
    for (TokenId& token : tokens) token = static_cast<TokenId>(rng.below(model->info().vocabulary));
    return tokens;
  };
  const auto go_on = [&](uint64_t done) {
    if (progress && !progress("benchmark", done, static_cast<uint64_t>(repeats) + 1))
      throw Error(ErrorKind::kLimit, "stopped");
  };
  session.append(random_tokens(task.depth), [&](std::string_view, uint64_t, uint64_t) {
    go_on(0);
    return true;
  });
  std::vector<double> rates;
  uint64_t bytes = 0;
  for (int repeat = 0; repeat <= repeats; ++repeat) {  // the first warms up
    go_on(static_cast<uint64_t>(repeat));
    session.truncate(task.depth);
    const auto tokens = random_tokens(task.tokens);
    const uint64_t before = session.bytes_read();
    const auto start = Clock::now();
    if (task.kind == BenchTask::Kind::kPrefill) session.append(tokens);
    else
      for (const TokenId& token : tokens) session.append({&token, 1});
    const double seconds = seconds_since(start);
    bytes = session.bytes_read() - before;
    if (repeat > 0) rates.push_back(static_cast<double>(task.tokens) / seconds);
  }
  std::sort(rates.begin(), rates.end());
  BenchRow row;
  row.task = task;
  row.median = rates[rates.size() / 2];
  row.least = rates.front();
  row.most = rates.back();
  row.bytes_per_second = row.median * static_cast<double>(bytes) / task.tokens;
  row.operations_per_second = row.median * 2 * static_cast<double>(model->info().active_parameters);
  return row;
}

}  // namespace fieldprint
