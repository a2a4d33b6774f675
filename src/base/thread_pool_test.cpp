#include "base/thread_pool.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <numeric>

namespace fieldprint {
namespace {

TEST(ThreadPool, EveryIndexOnceForAnyTeam) {
  for (const int threads : {1, 2, 3, 16, 64}) {
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

// Found in a container with a limit of processes: std::thread threw, and the program ended in "terminate called".
TEST(ThreadPool, ThreadsThatCannotStartAreDoneWithout) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers need the address space that this test takes away";
#endif
  int64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  ASSERT_GT(pages, 0);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_AS, &before), 0);
  const rlimit small{static_cast<rlim_t>(pages * ::sysconf(_SC_PAGESIZE)) + (100 << 20), before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_AS, &small), 0);  // room for the stacks of some
  constexpr int kAsked = 500;
  {
    ThreadPool pool(kAsked);
    EXPECT_GE(pool.threads(), 1);
    EXPECT_LE(pool.threads(), hardware_threads());
    for (int round = 0; round < 100; ++round) {
      std::atomic<int> sum{0};
      pool.run(1000, [&](int64_t i, int thread) {
        sum.fetch_add(static_cast<int>(i));
        if (thread >= pool.threads()) sum.fetch_add(1);
      });
      ASSERT_EQ(sum.load(), 499500);
    }
  }
  ASSERT_EQ(::setrlimit(RLIMIT_AS, &before), 0);
}

TEST(ThreadPool, ManyShortLoopsSeeEachOthersWrites) {
  for (const int threads : {2, 4, 64}) {
    ThreadPool pool(threads);
    std::vector<int64_t> values(64, 0);
    for (int round = 0; round < 5000; ++round) {
      pool.run(64, [&](int64_t i, int) { values[static_cast<size_t>(i)] += i; });
    }
    EXPECT_EQ(std::accumulate(values.begin(), values.end(), int64_t{0}), int64_t{5000} * 63 * 64 / 2);
  }
}

TEST(ThreadPool, WorkersThatSleptComeBack) {
  ThreadPool pool(3);
  for (int round = 0; round < 20; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));  // longer than anybody spins
    std::atomic<int> sum{0};
    pool.run(100, [&](int64_t i, int) { sum.fetch_add(static_cast<int>(i)); });
    EXPECT_EQ(sum.load(), 4950);
  }
}

TEST(ThreadPool, EveryThreadGetsWorkWhereThereAreCores) {
  const int threads = std::min(4, hardware_threads());
  ThreadPool pool(threads);
  std::atomic<int> met{0};
  // An index each, which ends only when all have begun: a thread left asleep would hang here.
  pool.run(threads, [&](int64_t, int) {
    met.fetch_add(1);
    while (met.load() < threads) std::this_thread::yield();
  });
  EXPECT_EQ(met.load(), threads);
}

// What a thread was foreseen to do next it did, unless another was faster.
TEST(ThreadPool, AThreadKnowsWhatComesAfter) {
  constexpr int64_t kCount = 100;
  for (const int threads : {1, 2, 3, 16}) {
    ThreadPool pool(threads);
    std::vector<int> who(kCount);
    std::vector<std::vector<int64_t>> done(static_cast<size_t>(threads));
    pool.run(kCount, [&](int64_t i, int thread) {
      who[static_cast<size_t>(i)] = thread;
      done[static_cast<size_t>(thread)].push_back(i);
    });
    for (int t = 0; t < threads; ++t) {
      const std::vector<int64_t>& mine = done[static_cast<size_t>(t)];
      for (size_t n = 0; n < mine.size(); ++n) {
        const int64_t after = pool.after(mine[n], kCount, t);
        ASSERT_LT(after, kCount);
        if (after < 0 || (n + 1 < mine.size() && mine[n + 1] == after)) continue;
        EXPECT_NE(who[static_cast<size_t>(after)], t) << mine[n] << " of " << threads;
      }
    }
    EXPECT_EQ(pool.after(0, kCount, 0), 1);
  }
}

}  // namespace
}  // namespace fieldprint
