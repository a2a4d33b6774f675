#include "lab/report.h"

#include <gtest/gtest.h>

#include <cmath>

#include "fieldprint/error.h"
#include "lab/record.h"

namespace fieldprint {
namespace {

// A kind that comes above 99 % at `reach` and needs `ms` a step.
LabRun made(const std::string& kind, uint64_t seed, int reach, double ms, float rate = 3e-3f) {
  LabRun run;
  run.settings.kind = kind;
  run.settings.seed = seed;
  run.settings.learning_rate = rate;
  run.settings.steps = 100;
  run.parameters = kind == "gram" ? 28672 : 24576;
  for (int step = 1; step <= 100; ++step) {
    LabPoint point{.step = step, .loss = 4.0 * std::exp(-3.0 * step / reach), .norm = 1};
    if (step % 10 == 0) point.accuracy = step >= reach ? 0.995 : 0.9 * step / reach, point.held_out_loss = point.loss;
    run.points.push_back(point);
  }
  run.steps_to_threshold = reach <= 100 ? reach : -1;
  run.accuracy = run.points.back().accuracy;
  run.loss = run.train_loss = run.points.back().loss;
  run.seconds = ms * 100 / 1000;
  run.step_seconds = ms / 1000;
  run.tokens_per_second = 2048 * 1000 / ms;
  run.threads = 1;
  run.weights_hash = std::string(64, static_cast<char>('a' + seed));
  return run;
}

std::vector<LabRun> some_runs() {
  std::vector<LabRun> runs;
  for (uint64_t seed = 1; seed <= 3; ++seed) runs.push_back(made("dot", seed, 30 + 10 * static_cast<int>(seed), 2));
  for (uint64_t seed = 1; seed <= 3; ++seed) runs.push_back(made("gram", seed, 60 + 10 * static_cast<int>(seed), 3));
  return runs;
}

LabComparison comparison() {
  LabComparison c;
  c.kinds = {"dot", "gram"};
  c.learning_rates = {3e-3f};
  c.seeds = 3;
  c.version = "0.0";
  return c;
}

TEST(LabReport, SaysWhereAKindLosesAndWins) {
  const auto runs = some_runs();
  const auto groups = best_groups(runs);
  ASSERT_EQ(groups.size(), 2u);
  const Verdict verdict = verdict_of(groups[1], groups[0]);
  ASSERT_EQ(verdict.loses.size(), 5u);
  EXPECT_EQ(verdict.loses[0],
            "steps to 99 % accuracy: 80 against 50 in the median (70 to 90; dot: 40 to 60), 1.60 times; in every run");
  EXPECT_EQ(verdict.loses[2],
            "time of a step: 3.00 ms against 2.00 ms in the median (3.00 ms to 3.00 ms; dot: 2.00 ms to 2.00 ms), 1.50 "
            "times; in every run");
  EXPECT_TRUE(verdict.wins.empty());
  EXPECT_EQ(verdict.even.size(), 1u);
  const Verdict other = verdict_of(groups[0], groups[1]);
  EXPECT_EQ(other.wins.size(), 5u);
  EXPECT_TRUE(other.loses.empty());
}

TEST(LabReport, ARunThatNeverGetsThereIsSaidSo) {
  auto runs = some_runs();
  runs[3] = made("gram", 1, 500, 3);
  runs[4] = made("gram", 2, 500, 3);
  const auto groups = best_groups(runs);
  EXPECT_EQ(groups[1].reached(), 1);
  const Verdict verdict = verdict_of(groups[1], groups[0]);
  EXPECT_EQ(verdict.loses[0],
            "steps to 99 % accuracy: never against 50 in the median (90 to never; dot: 40 to 60); in every run");
}

TEST(LabReport, TheBestLearningRateOfEachKindIsTaken) {
  auto runs = some_runs();
  for (uint64_t seed = 1; seed <= 3; ++seed) runs.push_back(made("gram", seed, 50, 3, 1e-2f));
  for (uint64_t seed = 1; seed <= 3; ++seed) runs.push_back(made("dot", seed, 500, 2, 1e-2f));
  const auto groups = best_groups(runs);
  ASSERT_EQ(groups.size(), 2u);
  EXPECT_EQ(groups[0].learning_rate, 3e-3f);
  EXPECT_EQ(groups[1].learning_rate, 1e-2f);
  EXPECT_NE(comparison_page(comparison(), runs, {}, {}).markdown().find("## All learning rates"), std::string::npos);
}

TEST(LabReport, ThePageHasWhatAnAppendixTakes) {
  const auto runs = some_runs();
  const auto curves = curves_of(runs);
  const Page page = comparison_page(comparison(), runs, curves, {});
  const std::string markdown = page.markdown(), html = page.html();
  for (const char* part : {"# Kinds of attention on the task copy", "## gram against dot",
                           "gram loses in:", "| gram | 28672 | 0.003 | 3 of 3 | 80 |", "bbbbbbbbbbbbbbbb",
                           "![accuracy by step, one line a kind](accuracy.svg)", "probability of 0.1"}) {
    EXPECT_NE(markdown.find(part), std::string::npos) << part;
  }
  EXPECT_NE(html.find("<svg "), std::string::npos);
  EXPECT_EQ(html.find("src="), std::string::npos);  // one file
  EXPECT_EQ(comparison_page(comparison(), some_runs(), curves, {}).html(), html);
}

TEST(LabReport, SpreadsAreQuantiles) {
  const Spread s = spread_of({5, 1, 4, 2, 3});
  EXPECT_EQ(s.least, 1);
  EXPECT_EQ(s.q1, 2);
  EXPECT_EQ(s.median, 3);
  EXPECT_EQ(s.most, 5);
  EXPECT_DOUBLE_EQ(spread_of({1, 2}).median, 1.5);
  EXPECT_DOUBLE_EQ(chance_apart(5, 5), 2.0 / 252);
  EXPECT_TRUE(apart(spread_of({1, 2}), spread_of({3, 4})));
  EXPECT_FALSE(apart(spread_of({1, 3}), spread_of({3, 4})));
  const double never = INFINITY;
  EXPECT_EQ(spread_of({never, never}).median, never);
}

TEST(LabRecord, ARunIsReadAsItWasWritten) {
  LabRun run = made("gram", 2, 70, 3);
  run.points[3].loss = NAN;
  const LabRun again = parse_run(run_json(run), "here");
  EXPECT_EQ(run_json(again), run_json(run));
  EXPECT_TRUE(same_settings(run.settings, again.settings));
  EXPECT_TRUE(std::isnan(again.points[3].loss));
  EXPECT_THROW(parse_run("{}", "here"), Error);
  EXPECT_THROW(parse_run("{", "here"), Error);
}

TEST(LabRecord, NumbersAreAsTheyWereGiven) {
  EXPECT_NE(run_json(made("gram", 2, 70, 3)).find("\"learning_rate\":0.003,"), std::string::npos);
}

TEST(LabReport, TiesAreNoLosses) {
  auto runs = some_runs();
  for (LabRun& run : runs) run.loss = run.settings.kind == "gram" ? 1.001 : 1;
  const auto groups = best_groups(runs);
  for (const std::string& point : verdict_of(groups[1], groups[0]).loses) EXPECT_FALSE(point.starts_with("final loss"));
}

TEST(LabRecord, NoTwoSettingsShareAName) {
  LabSettings a, b;
  b.width = 128;
  EXPECT_NE(run_name(a), run_name(b));
  EXPECT_TRUE(run_name(a).starts_with("dot-lr0.003-seed1-"));
}

TEST(LabRecord, TablesHaveARowAStepAndARowARun) {
  const auto runs = some_runs();
  const auto lines = [](const std::string& text) { return std::count(text.begin(), text.end(), '\n'); };
  EXPECT_EQ(lines(steps_csv(runs)), 601);
  EXPECT_EQ(lines(steps_jsonl(runs)), 600);
  EXPECT_EQ(lines(runs_csv(runs)), 7);
  EXPECT_EQ(lines(runs_jsonl(runs)), 6);
}

}  // namespace
}  // namespace fieldprint
