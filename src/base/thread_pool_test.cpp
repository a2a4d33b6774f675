#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <numeric>

namespace fieldprint {
namespace {

TEST(ThreadPool, EveryIndexOnceForAnyTeam) {
  for (const int threads : {1, 2, 3, 16}) {
    ThreadPool pool(threads);
    for (const int64_t count : {0, 1, 2, 7, 1000}) {
      std::vector<std::atomic<int>> hits(static_cast<size_t>(count));
      pool.run(count, [&](int64_t i, int thread) {
        ASSERT_LT(thread, threads);
        hits[static_cast<size_t>(i)].fetch_add(1);
      });
      for (const auto& hit : hits) ASSERT_EQ(hit.load(), 1);
    }
  }
}

TEST(ThreadPool, ManyShortLoopsSeeEachOthersWrites) {
  ThreadPool pool(4);
  std::vector<int64_t> values(64, 0);
  for (int round = 0; round < 5000; ++round) {
    pool.run(64, [&](int64_t i, int) { values[static_cast<size_t>(i)] += i; });
  }
  EXPECT_EQ(std::accumulate(values.begin(), values.end(), int64_t{0}), int64_t{5000} * 63 * 64 / 2);
}

}  // namespace
}  // namespace fieldprint
