// Answers that say what one before says. Short ones ("Yes.") are alike only where the prompt is the same.
#include <fmt/format.h>

#include <unordered_map>

#include "distil/filter.h"
#include "text/words.h"
#include "train/duplicates.h"

namespace fieldprint::distil {
namespace {

constexpr size_t kShort = 20;  // words and signs below which an answer is compared within its prompt alone

// Tool calls are what an answer says, too.
std::string said(const TeacherRow& row) { return row.content + "\n" + row.tool_calls; }

}  // namespace

Setting filter_duplicate(FilterRun& run) {
  if (!run.options.duplicates) return std::nullopt;
  std::vector<std::vector<std::string>> words(run.looked_at.size());
  run.pool.run(static_cast<int64_t>(words.size()), [&](int64_t i, int) {
    words[static_cast<size_t>(i)] = normalised_words(said(run.rows[run.looked_at[static_cast<size_t>(i)]].row), true);
  });
  std::unordered_map<std::string, TokenId> dictionary;
  std::unordered_map<std::string, size_t> short_ones;  // prompt and words -> the first row
  std::vector<std::vector<TokenId>> ids;
  std::vector<size_t> long_ones;
  for (size_t n = 0; n < words.size(); ++n) {
    const size_t row = run.looked_at[n];
    if (words[n].size() >= kShort) {
      long_ones.push_back(row);
      auto& own = ids.emplace_back();
      for (std::string& word : words[n])
        own.push_back(dictionary.try_emplace(std::move(word), static_cast<TokenId>(dictionary.size())).first->second);
    } else {
      std::string key = std::to_string(run.rows[row].prompt);
      for (const std::string& word : words[n]) (key += ' ') += word;
      const auto [first, added] = short_ones.try_emplace(std::move(key), row);
      if (!added) run.drop(row, "exact", "as " + run.rows[first->second].row.key);
    }
    words[n] = {};
  }
  const std::vector<Document> documents(ids.begin(), ids.end());
  const auto alike = find_alike(documents, run.pool, {}, {}, run.options.near_share);
  for (size_t n = 0; n < long_ones.size(); ++n) {
    const auto [exact, near] = alike[n];
    const auto as = [&](int64_t other) { return "as " + run.rows[long_ones[static_cast<size_t>(other)]].row.key; };
    if (exact >= 0) run.drop(long_ones[n], "exact", as(exact));
    else if (near >= 0) run.drop(long_ones[n], "near", as(near));
  }
  return run.options.near_share > 1
             ? std::string("the same words and signs")
             : fmt::format("the same words and signs, or {:g} of their runs of 5 in both", run.options.near_share);
}

}  // namespace fieldprint::distil
