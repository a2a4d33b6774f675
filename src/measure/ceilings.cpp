#include "measure/ceilings.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "base/huge_memory.h"

namespace fieldprint {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

constexpr size_t kReadBytes = 512 << 20;  // far beyond any cache; first touched by the threads that read it
constexpr size_t kReadPiece = 1 << 20;
constexpr int kCeilingRepeats = 3;
constexpr int64_t kProbeRounds = 2'000'000;

double read_bandwidth(ThreadPool& pool) {
  const HugeMemory huge(kReadBytes);
  auto* const memory = reinterpret_cast<uint64_t*>(huge.data());
  constexpr size_t kWords = kReadPiece / sizeof(uint64_t);
  const auto pieces = static_cast<int64_t>(kReadBytes / kReadPiece);
  pool.run(pieces, [&](int64_t i, int) { std::fill_n(memory + static_cast<size_t>(i) * kWords, kWords, 1); });
  double best = 0;
  std::vector<uint64_t> sums(static_cast<size_t>(pieces));
  for (int repeat = 0; repeat < kCeilingRepeats; ++repeat) {
    const auto start = Clock::now();
    pool.run(pieces, [&](int64_t i, int) {
      const uint64_t* words = memory + static_cast<size_t>(i) * kWords;
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

double peak_rate(ThreadPool& pool, int64_t (*probe)(int64_t, int64_t*)) {
  double best = 0;
  std::vector<int64_t> sinks(static_cast<size_t>(pool.threads())), done(sinks.size());
  for (int repeat = 0; repeat < kCeilingRepeats; ++repeat) {
    const auto start = Clock::now();
    pool.run(pool.threads(), [&](int64_t i, int) {
      done[static_cast<size_t>(i)] = probe(kProbeRounds, &sinks[static_cast<size_t>(i)]);
    });
    double operations = 0;
    for (const int64_t d : done) operations += static_cast<double>(d);
    best = std::max(best, operations / seconds_since(start));
  }
  return best;
}

}  // namespace

Ceilings measure_ceilings(ThreadPool& pool, const KernelTable& kernels) {
  return {read_bandwidth(pool), peak_rate(pool, kernels.peak_int8), peak_rate(pool, kernels.peak_f32)};
}

}  // namespace fieldprint
