#include "eval/scores.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "jinja/unicode.h"

namespace fieldprint {
namespace {

size_t best_of(std::span<const double> values) {
  return static_cast<size_t>(std::max_element(values.begin(), values.end()) - values.begin());  // the first of equals
}

EvalMetricValue aggregate(const EvalMetric& metric, const std::string& filter,
                          std::span<const EvalScore* const> scores) {
  double sum = 0, weight = 0;
  bool ones = true;
  for (const EvalScore* score : scores) {
    sum += score->value;
    weight += score->weight;
    ones = ones && score->weight == 1;
  }
  const double mean = sum / weight;
  EvalMetricValue value{metric.name, filter, mean, {}, metric.higher_is_better};
  switch (metric.aggregate) {
    case EvalAggregate::kPerplexity:
      value.value = std::exp(-mean);
      break;
    case EvalAggregate::kBitsPerByte:
      value.value = -mean / std::numbers::ln2;
      break;
    case EvalAggregate::kMean:
      if (!ones || scores.size() < 2) break;
      double squares = 0;
      for (const EvalScore* score : scores) squares += (score->value - mean) * (score->value - mean);
      const auto n = static_cast<double>(scores.size());
      value.error = std::sqrt(squares / (n - 1)) / std::sqrt(n);
  }
  return value;
}

}  // namespace

std::vector<EvalScore> score_choices(const EvalTask& task, EvalStyle style, const EvalWork& work) {
  std::vector<double> sums, by_length, by_token;
  const auto& shown = work.choices.continuations.size() == 1 ? work.choices.contexts : work.choices.continuations;
  for (size_t i = 0; i < work.outcome.scores.size(); ++i) {
    const double sum = work.outcome.scores[i].log_likelihood;
    sums.push_back(sum);
    by_length.push_back(sum / static_cast<double>(jinja::count_code_points(shown[i])));
    by_token.push_back(sum / work.outcome.tokens[i]);
  }
  const auto right = [&](size_t choice) { return choice == static_cast<size_t>(work.choices.gold) ? 1.0 : 0.0; };
  if (style == EvalStyle::kLlamaCpp) {
    const bool contexts = work.choices.continuations.size() == 1;
    const size_t choice = contexts ? (by_token[0] > by_token[1] ? 0 : 1) : best_of(by_token);
    return {{"acc_per_token", "llama.cpp", right(choice)}};
  }
  std::vector<EvalScore> scores;
  for (const EvalMetric& metric : task.metrics)
    scores.push_back({metric.name, "none", right(best_of(metric.name == "acc_norm" ? by_length : sums))});
  return scores;
}

std::vector<EvalScore> score_rolling(const EvalTask& task, const EvalWork& work) {
  const EvalRolling rolling = task.rolling(*work.document);
  double sum = 0;
  for (const RequestScore& score : work.outcome.scores) sum += score.log_likelihood;
  std::vector<EvalScore> scores;
  for (const EvalMetric& metric : task.metrics)
    scores.push_back({metric.name, "none", sum, metric.name == "word_perplexity" ? rolling.words : rolling.bytes});
  return scores;
}

std::vector<EvalMetricValue> aggregate_scores(const EvalTask& task, std::span<const EvalWork> works) {
  std::vector<EvalMetricValue> values;
  std::vector<std::pair<EvalMetric, std::string>> kinds;  // in the order of the task, filters in that of the scores
  const auto add = [&](const EvalMetric& metric) {
    for (const EvalWork& work : works)
      for (const EvalScore& score : work.scores)
        if (score.metric == metric.name && std::none_of(kinds.begin(), kinds.end(), [&](const auto& kind) {
              return kind.first.name == metric.name && kind.second == score.filter;
            }))
          kinds.emplace_back(metric, score.filter);
  };
  for (const EvalMetric& metric : task.metrics) add(metric);
  add({"acc_per_token"});
  for (const auto& [metric, filter] : kinds) {
    std::vector<const EvalScore*> scores;
    for (const EvalWork& work : works)
      for (const EvalScore& score : work.scores)
        if (score.metric == metric.name && score.filter == filter) scores.push_back(&score);
    values.push_back(aggregate(metric, filter, scores));
  }
  return values;
}

std::vector<EvalMetricValue> group_metrics(std::span<const EvalTaskResult* const> tasks) {
  std::vector<EvalMetricValue> values;
  for (const EvalMetricValue& metric : tasks[0]->metrics) {
    double sum = 0, documents = 0, squares = 0;
    bool errors = true;
    for (const EvalTaskResult* task : tasks) {
      const auto same = std::find_if(task->metrics.begin(), task->metrics.end(), [&](const EvalMetricValue& other) {
        return other.name == metric.name && other.filter == metric.filter;
      });
      if (same == task->metrics.end()) continue;
      const double n = task->documents;
      sum += same->value * n;
      documents += n;
      errors = errors && same->error;
      if (same->error) squares += (n - 1) * *same->error * *same->error * n;
    }
    EvalMetricValue value{metric.name, metric.filter, sum / documents, {}, metric.higher_is_better};
    const double freedom = documents - static_cast<double>(tasks.size());
    if (errors && freedom > 0) value.error = std::sqrt(squares / freedom / documents);
    values.push_back(value);
  }
  return values;
}

double mcnemar_p(int a, int b) {
  const int n = a + b;
  double tail = 0;
  for (int k = 0; k <= std::min(a, b); ++k)
    tail += std::exp(std::lgamma(n + 1) - std::lgamma(k + 1) - std::lgamma(n - k + 1) - n * std::numbers::ln2);
  return std::min(1.0, 2 * tail);
}

std::vector<EvalDifference> compare_evals(const EvalResult& first, const EvalResult& second) {
  std::vector<EvalDifference> differences;
  for (const EvalTaskResult& a : first.tasks) {
    const auto b = std::find_if(second.tasks.begin(), second.tasks.end(),
                                [&](const EvalTaskResult& other) { return other.name == a.name; });
    if (b == second.tasks.end()) continue;
    std::map<int, const EvalItem*> items;
    for (const EvalItem& item : b->items) items[item.document] = &item;
    for (const EvalMetricValue& metric : a.metrics) {
      EvalDifference difference{a.name, metric.name, metric.filter};
      const std::string name = metric.name + "," + metric.filter;
      int documents = 0, choices = 0;
      double delta = 0;
      bool binary = true;  // right or wrong
      for (const EvalItem& item : a.items) {
        const auto other = items.find(item.document);
        if (other == items.end()) continue;
        const auto x = item.metrics.find(name), y = other->second->metrics.find(name);
        if (x == item.metrics.end() || y == other->second->metrics.end()) continue;
        binary = binary && (x->second == 0 || x->second == 1) && (y->second == 0 || y->second == 1);
        ++documents;
        difference.difference += y->second - x->second;
        difference.only_first += x->second > y->second;
        difference.only_second += y->second > x->second;
        const auto &ours = item.log_likelihoods, &theirs = other->second->log_likelihoods;
        for (size_t i = 0; i < std::min(ours.size(), theirs.size()); ++i, ++choices)
          delta += std::abs(ours[i] - theirs[i]);
      }
      if (!binary || documents == 0) continue;
      difference.difference /= documents;
      if (choices > 0) difference.mean_delta = delta / choices;
      difference.p = mcnemar_p(difference.only_first, difference.only_second);
      differences.push_back(difference);
    }
  }
  return differences;
}

}  // namespace fieldprint
