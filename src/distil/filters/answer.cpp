// Verifiers of final answers: against the one that the row brings, and among the answers to one prompt.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "distil/filter.h"
#include "distil/final_answer.h"
#include "fieldprint/error.h"

namespace fieldprint::distil {
namespace {

std::optional<Pattern> pattern_of(const FilterOptions& options) {
  if (options.final_pattern.empty()) return std::nullopt;
  return Pattern(options.final_pattern);
}

std::string how(const FilterOptions& options) {
  return options.final_pattern.empty() ? "found in the usual forms" : "found by " + options.final_pattern;
}

// nullopt where the user's pattern takes too many steps on this text.
std::optional<std::string> final_of(const std::string& text, const Pattern* pattern, bool number) {
  try {
    return normalised_answer(final_answer(text, pattern, number));
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kLimit) throw;
    return std::nullopt;
  }
}
constexpr const char* kTooMuch = "too much work to check";

}  // namespace

Setting filter_answer(FilterRun& run) {
  using Verify = FilterOptions::Verify;
  if (run.options.verify == Verify::kNo) return std::nullopt;
  const auto pattern = pattern_of(run.options);
  const Pattern* found_by = pattern ? &*pattern : nullptr;
  const bool always = run.options.verify == Verify::kAlways;
  run.each([&](const FilterRow& r) -> std::optional<Reason> {
    if (r.row.answer.empty()) return always ? std::optional(Reason{"nothing to compare with", {}}) : std::nullopt;
    // A solution that ends in "#### 18", as data sets have it, is an answer too; a pattern is for the teacher's.
    std::string wanted = normalised_answer(r.row.answer);
    if (!is_number(wanted)) wanted = normalised_answer(final_answer(r.row.answer, nullptr, false));
    const auto given = final_of(r.row.content, found_by, is_number(wanted));
    if (!given) return Reason{kTooMuch, run.options.final_pattern};
    if (*given == wanted && !given->empty()) return std::nullopt;
    if (given->empty()) return Reason{"no final answer", fmt::format("wanted {}", beginning(wanted, 80))};
    return Reason{"wrong", fmt::format("{}, wanted {}", beginning(*given, 80), beginning(wanted, 80))};
  });
  if (!always) {
    const auto unchecked = std::count_if(run.looked_at.begin(), run.looked_at.end(),
                                         [&](size_t i) { return run.rows[i].row.answer.empty(); });
    if (unchecked > 0) run.notes.push_back(fmt::format("{} without an answer to compare with, which pass", unchecked));
  }
  return fmt::format("equal to the row's, {}", how(run.options));
}

// Majority vote (self-consistency; Wang et al. 2023). Of two final answers with equally many votes the one that was
// given first counts.
Setting filter_vote(FilterRun& run) {
  if (!run.options.vote) return std::nullopt;
  const auto pattern = pattern_of(run.options);
  const Pattern* found_by = pattern ? &*pattern : nullptr;
  for (const std::vector<size_t>& group : run.by_prompt()) {
    std::vector<std::string> finals;
    std::vector<bool> too_much;
    for (const size_t i : group) {
      auto given = final_of(run.rows[i].row.content, found_by, true);
      too_much.push_back(!given);
      finals.push_back(given ? std::move(*given) : "");
    }
    std::map<std::string, size_t> votes;
    for (const std::string& final : finals) votes[final] += !final.empty();
    // The first answer is that of the lowest sample, whatever its key.
    std::vector<size_t> order(group.size());
    for (size_t n = 0; n < order.size(); ++n) order[n] = n;
    std::sort(order.begin(), order.end(),
              [&](size_t a, size_t b) { return run.rows[group[a]].row.sample < run.rows[group[b]].row.sample; });
    std::string winner;
    for (const size_t n : order)
      if (votes[finals[n]] > votes[winner]) winner = finals[n];
    const size_t most = votes[winner];
    for (size_t n = 0; n < group.size(); ++n) {
      if (too_much[n]) run.drop(group[n], kTooMuch, run.options.final_pattern);
      else if (finals[n].empty()) run.drop(group[n], "no final answer");
      else if (finals[n] != winner)
        run.drop(
            group[n], "outvoted",
            fmt::format("{}: {} of {} say {}", beginning(finals[n], 60), most, group.size(), beginning(winner, 60)));
      else if (most < static_cast<size_t>(run.options.votes_least))
        run.drop(group[n], "too few votes", fmt::format("{} of {}", most, group.size()));
    }
  }
  return fmt::format("at least {} equal, final answers {}", run.options.votes_least, how(run.options));
}

}  // namespace fieldprint::distil
