// Shared by the kernel benchmarks.
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace fieldprint {

// Operations a second of a peak probe of the kernel table (peak_int8, peak_f32), on one thread.
inline double peak(int64_t (*probe)(int64_t rounds, int64_t* sink)) {
  double best = 0;
  for (int i = 0; i < 3; ++i) {
    int64_t sink = 0;
    const auto start = std::chrono::steady_clock::now();
    const auto done = static_cast<double>(probe(2'000'000, &sink));
    benchmark::DoNotOptimize(sink);
    best = std::max(best, done / std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

// The program: `add_all` registers its steps.
inline int run_ladder(int argc, char** argv, void (*add_all)()) {
  add_all();
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

}  // namespace fieldprint
