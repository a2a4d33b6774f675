// From outcomes to figures: what a document scored, means and their errors, and the comparison of two models.
#pragma once

#include <span>
#include <vector>

#include "eval/item.h"
#include "fieldprint/eval.h"

namespace fieldprint {

// acc and acc_norm of a multiple-choice document. acc_norm divides by the choices' lengths in Unicode code points. In
// the style of llama.cpp only "acc_per_token", by mean log-likelihoods over tokens. The first of equal choices counts;
// where llama.cpp compares two contexts, the second.
std::vector<EvalScore> score_choices(const EvalTask& task, EvalStyle style, const EvalWork& work);

// Of a text, whose windows' log-likelihoods are summed.
std::vector<EvalScore> score_rolling(const EvalTask& task, const EvalWork& work);

// What `eval_items` of the works is made of, and the metrics over all works, in the order of the task's.
std::vector<EvalMetricValue> aggregate_scores(const EvalTask& task, std::span<const EvalWork> works);

// Of tasks of one group: each metric weighted by documents; the error is that of the pooled documents.
std::vector<EvalMetricValue> group_metrics(std::span<const EvalTaskResult* const> tasks);

// Two-sided p of the exact McNemar test (1947): the discordant documents, `a` and `b` of them, are flips of a fair
// coin.
double mcnemar_p(int a, int b);

}  // namespace fieldprint
