// The cost of a parallel loop beside its work: start, dealing, barrier. Threads beyond the cores must not raise it.
#include <benchmark/benchmark.h>

#include "base/thread_pool.h"

namespace fieldprint {
namespace {

void loop(benchmark::State& state) {
  ThreadPool pool(static_cast<int>(state.range(0)));
  const int64_t count = state.range(1);
  for (auto _ : state) pool.run(count, [](int64_t i, int) { benchmark::DoNotOptimize(i); });
}
BENCHMARK(loop)->ArgsProduct({{1, 2, 4, 8, 16, 64}, {2, 64}})->ArgNames({"threads", "indices"})->UseRealTime();

// As between the products of a decode step: the workers spin while the caller works alone for some microseconds.
void loop_after_serial_work(benchmark::State& state) {
  ThreadPool pool(static_cast<int>(state.range(0)));
  for (auto _ : state) {
    for (int i = 0; i < 2000; ++i) benchmark::DoNotOptimize(i);
    pool.run(16, [](int64_t i, int) { benchmark::DoNotOptimize(i); });
  }
}
BENCHMARK(loop_after_serial_work)->Arg(1)->Arg(2)->Arg(8)->Arg(16)->Arg(64)->UseRealTime();

}  // namespace
}  // namespace fieldprint

BENCHMARK_MAIN();
