#include "lab/tasks.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "fieldprint/error.h"

namespace fieldprint {
namespace {

// What stands in front of position `at` says what must follow: a second implementation of each task, from the answer's
// side. kNoToken: it cannot be known.
using Answer = TokenId (*)(const std::vector<TokenId>& x, size_t at, int length, int vocabulary);

TokenId copied(const std::vector<TokenId>& x, size_t at, int length, int) {
  return x[at - static_cast<size_t>(length / 2)];
}

// The period is the shift that all of the repetition so far agrees with.
TokenId induced(const std::vector<TokenId>& x, size_t at, int length, int) {
  for (size_t period = static_cast<size_t>(length / 4); period < at; ++period) {
    bool fits = true;
    for (size_t i = period; i < at; ++i) fits = fits && x[i] == x[i - period];
    if (fits) return x[at - period];
  }
  return kNoToken;
}

TokenId mirrored(const std::vector<TokenId>& x, size_t at, int length, int) {
  return x[static_cast<size_t>(length / 2 * 2 - 1) - at];
}

TokenId recalled(const std::vector<TokenId>& x, size_t at, int, int) {
  for (size_t i = 0; i + 2 < at; i += 2) {
    if (x[i] == x[at - 1]) return x[i + 1];
  }
  return kNoToken;
}

TokenId matched(const std::vector<TokenId>& x, size_t at, int, int vocabulary) {
  const int modulus = vocabulary - 2;
  size_t first = 0;  // numbers before the first label stand alone but for the last
  while (x[first] < modulus) ++first;
  --first;
  for (size_t i = 0; i < first; ++i) {
    for (size_t j = 0; j < i; ++j) {
      if ((x[i] + x[j] + x[at - 1]) % modulus == 0) return vocabulary - 1;
    }
  }
  return vocabulary - 2;
}

TokenId pointed(const std::vector<TokenId>& x, size_t at, int, int) { return x[static_cast<size_t>(x[at - 1])]; }

const std::map<std::string_view, Answer>& answers() {
  static const std::map<std::string_view, Answer> all = {{"copy", copied},     {"induction", induced},
                                                         {"mirror", mirrored}, {"associative_recall", recalled},
                                                         {"match3", matched},  {"pointer", pointed}};
  return all;
}

TEST(LabTasks, WhatIsAskedFollowsFromWhatStandsBefore) {
  for (const TaskRow& row : task_rows()) {
    SCOPED_TRACE(row.name);
    ASSERT_TRUE(answers().contains(row.name)) << "a new task needs its answer here";
    for (const auto& [length, vocabulary] :
         {std::pair{64, 64}, std::pair{32, 48}, std::pair{row.least_length, row.least_vocabulary}}) {
      const auto task = make_task(row.name, length, vocabulary);
      Rng random(7);
      size_t asked = 0;
      for (int n = 0; n < 200; ++n) {
        const TaskSequence made = task->draw(random, TaskPart::kTraining);
        ASSERT_EQ(made.tokens.size(), made.asked.size());
        ASSERT_GT(made.tokens.size(), static_cast<size_t>(length) * 3 / 4);
        ASSERT_LE(made.tokens.size(), static_cast<size_t>(length));
        for (const TokenId token : made.tokens) ASSERT_TRUE(token >= 0 && token < vocabulary);
        for (size_t i = 0; i < made.tokens.size(); ++i) {
          if (!made.asked[i]) continue;
          ++asked;
          // A short random piece may repeat itself by chance: the shift is then not the only one that fits.
          if (row.name == "induction" && vocabulary < 48) continue;
          EXPECT_EQ(made.tokens[i], answers().at(row.name)(made.tokens, i, length, vocabulary));
        }
      }
      EXPECT_GT(asked, 200u);
    }
  }
}

TEST(LabTasks, SameSeedSameSequence) {
  for (const TaskRow& row : task_rows()) {
    const auto task = make_task(row.name, 64, 64);
    Rng one(3), same(3), other(4);
    const TaskSequence drawn = task->draw(one, TaskPart::kTraining);
    EXPECT_EQ(drawn.tokens, task->draw(same, TaskPart::kTraining).tokens) << row.name;
    EXPECT_NE(drawn.tokens, task->draw(other, TaskPart::kTraining).tokens) << row.name;
    EXPECT_NE(drawn.tokens, task->draw(one, TaskPart::kTraining).tokens) << row.name;
  }
}

TEST(LabTasks, InductionDrawsEveryPeriod) {
  const auto task = make_task("induction", 64, 64);
  Rng random(1);
  std::set<size_t> begins;
  for (int n = 0; n < 1000; ++n) {
    const TaskSequence made = task->draw(random, TaskPart::kTraining);
    begins.insert(static_cast<size_t>(std::find(made.asked.begin(), made.asked.end(), true) - made.asked.begin()) - 1);
  }
  EXPECT_EQ(*begins.begin(), 16u);
  EXPECT_EQ(*begins.rbegin(), 32u);
  EXPECT_EQ(begins.size(), 17u);
}

TEST(LabTasks, Match3AnswersAreAFairCoin) {
  const auto task = make_task("match3", 64, 64);
  Rng random(1);
  int yes = 0, all = 0;
  for (int n = 0; n < 500; ++n) {
    const TaskSequence made = task->draw(random, TaskPart::kTraining);
    for (size_t i = 0; i < made.tokens.size(); ++i) all += made.asked[i], yes += made.asked[i] && made.tokens[i] == 63;
  }
  EXPECT_NEAR(static_cast<double>(yes) / all, 0.5, 0.02);
}

TEST(LabTasks, ATextKeepsItsLastTenthApart) {
  std::vector<TokenId> text(1000);
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<TokenId>(i);
  const auto task = make_text_task(text, 50, 1000);
  Rng random(1);
  for (int n = 0; n < 1000; ++n) {
    const TaskSequence seen = task->draw(random, TaskPart::kTraining), held = task->draw(random, TaskPart::kHeldOut);
    for (size_t i = 1; i < 50; ++i) ASSERT_EQ(seen.tokens[i], seen.tokens[i - 1] + 1);
    EXPECT_LT(seen.tokens.back(), 900);
    EXPECT_GE(held.tokens.front(), 900);
  }
  EXPECT_THROW(make_text_task(text, 101, 1000), Error);
}

TEST(LabTasks, ExamplesWeighAsPublished) {
  const auto task = make_task("copy", 8, 4);
  Rng random(1);
  const TaskSequence made = task->draw(random, TaskPart::kTraining);
  EXPECT_EQ(training_example(made).weights, (std::vector<float>{0, 1, 1, 1, 1, 1, 1, 1}));
  EXPECT_EQ(held_out_example(made).weights, (std::vector<float>{0, 0, 0, 0, 1, 1, 1, 1}));
}

TEST(LabTasks, WhatIsNotThereIsRefused) {
  EXPECT_THROW(make_task("sort", 64, 64), Error);
  EXPECT_THROW(make_task("match3", 8, 64), Error);
  EXPECT_THROW(make_task("copy", 64, 1), Error);
}

}  // namespace
}  // namespace fieldprint
