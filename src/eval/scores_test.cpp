#include "eval/scores.h"

#include <gtest/gtest.h>

#include <cmath>

namespace fieldprint {
namespace {

const EvalTask& task_of(const char* name) { return *find_eval_tasks(name).at(0); }

EvalWork work_of(std::vector<std::string> continuations, std::vector<double> sums, std::vector<int> tokens, int gold) {
  EvalWork work;
  work.choices = {{"context"}, std::move(continuations), gold};
  for (const double sum : sums) work.outcome.scores.push_back({sum, false});
  work.outcome.tokens = std::move(tokens);
  return work;
}

TEST(EvalScores, NormalisedAccuracyDividesByCodePoints) {
  // -4 / 2 code points (4 bytes) against -5 / 4: the second is better by code points, the first by bytes or in all.
  const EvalWork work = work_of({"éé", "abcd"}, {-4, -5}, {1, 1}, 1);
  const auto scores = score_choices(task_of("arc_easy"), EvalStyle::kLmEval, work);
  ASSERT_EQ(scores.size(), 2u);
  EXPECT_EQ(scores[0].metric, "acc");
  EXPECT_EQ(scores[0].value, 0);
  EXPECT_EQ(scores[1].metric, "acc_norm");
  EXPECT_EQ(scores[1].value, 1);
}

TEST(EvalScores, TheFirstOfEqualChoicesCounts) {
  for (const int gold : {0, 1, 2}) {
    const auto scores =
        score_choices(task_of("boolq"), EvalStyle::kLmEval, work_of({"a", "b", "c"}, {-3, -2, -2}, {1, 1, 1}, gold));
    EXPECT_EQ(scores[0].value, gold == 1 ? 1 : 0);
  }
}

TEST(EvalScores, OfLlamaCppDivideByTokensAndStandApart) {
  const auto scores =
      score_choices(task_of("hellaswag"), EvalStyle::kLlamaCpp, work_of({"a", "bbbbbbbb"}, {-4, -6}, {1, 2}, 1));
  ASSERT_EQ(scores.size(), 1u);
  EXPECT_EQ(scores[0].metric + "," + scores[0].filter, "acc_per_token,llama.cpp");
  EXPECT_EQ(scores[0].value, 1);
  EvalWork tie = work_of({"tail"}, {-2, -2}, {1, 1}, 1);
  tie.choices.contexts = {"one", "two"};
  EXPECT_EQ(score_choices(task_of("winogrande"), EvalStyle::kLlamaCpp, tie)[0].value, 1);
}

TEST(EvalScores, MeansHaveTheErrorOfASample) {
  std::vector<EvalWork> works(5);
  for (size_t i = 0; i < works.size(); ++i) works[i].scores = {{"acc", "none", i < 2 ? 1.0 : 0.0}};
  const auto metrics = aggregate_scores(task_of("boolq"), works);
  ASSERT_EQ(metrics.size(), 1u);
  EXPECT_DOUBLE_EQ(metrics[0].value, 0.4);
  EXPECT_DOUBLE_EQ(*metrics[0].error, std::sqrt(0.4 * 0.6 / 4));
  EXPECT_FALSE(aggregate_scores(task_of("boolq"), std::span(works).first(1))[0].error);
}

TEST(EvalScores, PerplexitiesAreWeightedMeans) {
  EvalTask task;
  task.metrics = {{"word_perplexity", false, EvalAggregate::kPerplexity},
                  {"bits_per_byte", false, EvalAggregate::kBitsPerByte}};
  std::vector<EvalWork> works(2);
  works[0].scores = {{"word_perplexity", "none", -10, 4}, {"bits_per_byte", "none", -10, 20}};
  works[1].scores = {{"word_perplexity", "none", -20, 6}, {"bits_per_byte", "none", -20, 30}};
  const auto metrics = aggregate_scores(task, works);
  EXPECT_DOUBLE_EQ(metrics[0].value, std::exp(3.0));
  EXPECT_DOUBLE_EQ(metrics[1].value, 0.6 / std::log(2.0));
  EXPECT_FALSE(metrics[0].error);
}

TEST(EvalScores, GroupsWeighTasksByDocuments) {
  EvalTaskResult a, b;
  a.documents = 10;
  a.metrics = {{"exact_match", "x", 0.5, 0.1}};
  b.documents = 30;
  b.metrics = {{"exact_match", "x", 0.9, 0.05}};
  const EvalTaskResult* both[] = {&a, &b};
  const auto metrics = group_metrics(both);
  EXPECT_DOUBLE_EQ(metrics[0].value, 0.8);
  // lm_eval.api.metrics.pooled_sample_stderr([0.1, 0.05], [10, 30])
  EXPECT_NEAR(*metrics[0].error, 0.044978065, 1e-9);
}

TEST(EvalScores, McNemarIsTheExactBinomialTest) {
  // scipy.stats.binomtest(min(a, b), a + b).pvalue
  EXPECT_NEAR(mcnemar_p(1, 9), 0.021484375, 1e-12);
  EXPECT_NEAR(mcnemar_p(9, 1), 0.021484375, 1e-12);
  EXPECT_NEAR(mcnemar_p(40, 60), 0.05688793364098078, 1e-10);
  EXPECT_EQ(mcnemar_p(0, 0), 1);
  EXPECT_EQ(mcnemar_p(5, 5), 1);
}

TEST(EvalScores, ComparisonsPairDocuments) {
  EvalResult first, second;
  first.tasks.resize(1);
  EvalTaskResult& a = first.tasks[0];
  a.name = "t";
  a.metrics = {{"acc"}, {"word_perplexity"}};
  for (int i = 0; i < 4; ++i) a.items.push_back({i, {-1, -2}, {{"acc,none", i % 2}, {"word_perplexity,none", 3.5}}});
  second = first;
  second.tasks[0].items.erase(second.tasks[0].items.begin());  // document 0 is not in both
  second.tasks[0].items[1].metrics["acc,none"] = 1;            // document 2
  second.tasks[0].items[1].log_likelihoods = {-1, -2.6};
  const auto differences = compare_evals(first, second);
  ASSERT_EQ(differences.size(), 1u);  // a perplexity is neither right nor wrong
  EXPECT_DOUBLE_EQ(differences[0].difference, 1.0 / 3);
  EXPECT_EQ(differences[0].only_first, 0);
  EXPECT_EQ(differences[0].only_second, 1);
  EXPECT_EQ(differences[0].p, 1);
  EXPECT_NEAR(differences[0].mean_delta, 0.1, 1e-12);
}

}  // namespace
}  // namespace fieldprint
