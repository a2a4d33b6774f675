#include "distil/runner.h"

#include <gtest/gtest.h>

#include <limits>

#include "distil/http_teacher.h"

namespace fieldprint {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

TEST(DistilBackoff, GrowsIsBoundedAndIsTheSameForTheSameKey) {
  const std::string key(64, 'a'), other = std::string(16, 'a') + std::string(48, 'b');
  double sum_first = 0, sum_fourth = 0;
  for (int i = 0; i < 200; ++i) {
    std::string each = key;
    const std::string digits = std::to_string(100 + i);
    each.replace(20, digits.size(), digits);
    sum_first += backoff_seconds(each, 1, 1);
    sum_fourth += backoff_seconds(each, 4, 1);
    EXPECT_LT(backoff_seconds(each, 1, 1), 1);
    EXPECT_LT(backoff_seconds(each, 40, 1), 60);
  }
  EXPECT_NEAR(sum_first / 200, 0.5, 0.1);
  EXPECT_NEAR(sum_fourth / 200, 4, 0.8);
  EXPECT_EQ(backoff_seconds(key, 2, 1), backoff_seconds(key, 2, 1));
  EXPECT_NE(backoff_seconds(key, 2, 1), backoff_seconds(other, 2, 1));
}

TEST(DistilConcurrency, RisesByAnswersAndHalvesOnceForABurst) {
  const auto begin = Clock::now();
  ConcurrencyLimit limit(32, true);
  EXPECT_EQ(limit.now(), 4);
  for (int i = 0; i < 20; ++i) limit.succeeded(0.1);
  EXPECT_EQ(limit.now(), 24);
  for (int i = 0; i < 10; ++i) limit.congested(begin, begin + 1s);  // all were sent before the first came back
  EXPECT_EQ(limit.now(), 12);
  limit.congested(begin + 2s, begin + 3s);
  EXPECT_EQ(limit.now(), 6);
  for (int i = 0; i < 6; ++i) limit.succeeded(0.1);
  EXPECT_EQ(limit.now(), 6) << "no slow start any more: one more a round";
  limit.succeeded(0.1);
  EXPECT_EQ(limit.now(), 7);
  for (int i = 0; i < 99; ++i) limit.congested(begin + i * 10s, begin + i * 10s + 1s);
  EXPECT_EQ(limit.now(), 1);
}

TEST(DistilConcurrency, HoldsWhereRequestsWait) {
  const auto now = Clock::now();
  ConcurrencyLimit limit(32, true);
  limit.queue(1, now);
  for (int i = 0; i < 9; ++i) limit.succeeded(0.1);
  EXPECT_EQ(limit.now(), 4);
  limit.queue(9, now + 1s);
  EXPECT_EQ(limit.now(), 2);
  limit.queue(0, now + 2s);
  for (int i = 0; i < 9; ++i) limit.succeeded(0.1);
  EXPECT_GT(limit.now(), 2);
  ConcurrencyLimit slow(32, true);
  slow.succeeded(0.1);
  for (int i = 0; i < 50; ++i) slow.succeeded(5);
  EXPECT_LT(slow.now(), 12) << "answers begin later and later: the server has a queue";
  ConcurrencyLimit fixed(8, false);
  fixed.congested(now, now + 1s);
  EXPECT_EQ(fixed.now(), 8);
}

TEST(DistilBreaker, OpensProbesAndCloses) {
  const auto at = [begin = Clock::now()](double seconds) {
    return begin + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  };
  Breaker breaker(3, 2, at(0));
  breaker.failed(at(1));
  breaker.failed(at(1));
  breaker.succeeded(at(1));
  breaker.failed(at(2));
  breaker.failed(at(2));
  EXPECT_TRUE(breaker.allows(at(2), 5)) << "not in a row";
  breaker.failed(at(2));
  EXPECT_FALSE(breaker.allows(at(3.9), 0));
  breaker.failed(at(3));  // one that was under way
  EXPECT_TRUE(breaker.allows(at(4.1), 0));
  EXPECT_FALSE(breaker.allows(at(4.1), 1)) << "a single one";
  breaker.failed(at(5));
  EXPECT_FALSE(breaker.allows(at(8.9), 0)) << "twice as long";
  EXPECT_TRUE(breaker.allows(at(9.1), 0));
  EXPECT_EQ(breaker.seconds_without_answer(at(11)), 10);
  breaker.succeeded(at(10));
  EXPECT_TRUE(breaker.allows(at(10), 9));
  EXPECT_EQ(breaker.seconds_without_answer(at(99)), 0) << "nothing was asked";
  breaker.failed(at(99));
  breaker.waited(5);
  breaker.waited(6);
  EXPECT_EQ(breaker.seconds_without_answer(at(110)), 11) << "not open, and nothing is under way";
  breaker.succeeded(at(111));
  EXPECT_EQ(breaker.seconds_without_answer(at(112)), 0);
}

TEST(DistilBudget, CountsWhatIsUnderWay) {
  DistilOptions options;
  options.budget_tokens = 1000;
  Budget budget(options);
  EXPECT_FALSE(budget.spent(0, 4));
  budget.add(50, 50);
  budget.add(50, 50);
  EXPECT_FALSE(budget.spent(0, 7));
  EXPECT_EQ(budget.spent(0, 8), DistilEnd::kTokens);
  options.budget_tokens = 0;
  options.budget_seconds = 3;
  EXPECT_FALSE(budget.spent(2, 99));
  EXPECT_EQ(budget.spent(3, 0), DistilEnd::kTime);
  options.budget_seconds = 0;
  options.price_in = 10, options.price_out = 20, options.budget_money = 0.003;
  EXPECT_EQ(budget.spent(0, 0), DistilEnd::kMoney);
}

TEST(DistilBudget, EstimatesWhatAServerDoesNotCountAndBelievesNoHugeNumber) {
  TeacherRow row;
  row.messages = std::string(80, 'm');
  row.content = std::string(40, 'c');
  EXPECT_EQ(spent_tokens(row).prompt, 20);
  EXPECT_EQ(spent_tokens(row).completion, 10);
  EXPECT_TRUE(spent_tokens(row).estimated);
  row.prompt_tokens = 7, row.completion_tokens = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(spent_tokens(row).prompt, 7);
  EXPECT_EQ(spent_tokens(row).completion, kMostTokens);
  EXPECT_FALSE(spent_tokens(row).estimated);
  row.failure = "server";
  EXPECT_EQ(spent_tokens(row).prompt, 0);
}

TEST(DistilQueue, IsReadFromMetrics) {
  const std::string_view names[] = {"vllm:num_requests_waiting"};
  EXPECT_EQ(metric_of("# HELP vllm:num_requests_waiting x\nvllm:num_requests_waiting_by{a=\"b\"} 9\n"
                      "vllm:num_requests_waiting{model=\"a b\",engine=\"0\"} 2.0\nvllm:num_requests_waiting{e=\"1\"} 3",
                      names),
            5);
  EXPECT_EQ(metric_of("vllm:num_requests_waiting NaN\n", names), std::nullopt);
  EXPECT_EQ(metric_of("", names), std::nullopt);
}

}  // namespace
}  // namespace fieldprint
