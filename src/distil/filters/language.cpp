// The language of an answer.
#include "text/language.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "distil/filter.h"
#include "fieldprint/error.h"

namespace fieldprint::distil {
namespace {

// Blocks of code have no language that a reader would mean.
std::string without_code(std::string_view text) {
  std::string rest;
  for (size_t at = 0; at < text.size();) {
    const size_t fence = text.find("```", at);
    rest += text.substr(at, fence == std::string_view::npos ? fence : fence - at);
    if (fence == std::string_view::npos) break;
    const size_t end = text.find("```", fence + 3);
    at = end == std::string_view::npos ? text.size() : end + 3;
  }
  return rest;
}

}  // namespace

Setting filter_language(FilterRun& run) {
  if (run.options.languages.empty()) return std::nullopt;
  std::vector<std::string> codes, known;
  for (const std::string& wanted : run.options.languages) {
    const LanguageProfile* profile = find_language(wanted);
    if (profile == nullptr) {
      for (const LanguageProfile& each : language_profiles()) known.emplace_back(each.code);
      throw Error(ErrorKind::kUsage, fmt::format("there is no profile of the language \"{}\"", beginning(wanted, 20)),
                  {}, fmt::format("there are {}", fmt::join(known, ", ")));
    }
    codes.emplace_back(profile->code);
  }
  int64_t unsaid = 0;
  run.each([&](const FilterRow& r) -> std::optional<Reason> {
    const LanguageGuess guess = guess_language(without_code(r.row.content));
    if (guess.code.empty() || std::find(codes.begin(), codes.end(), guess.code) != codes.end()) return std::nullopt;
    return Reason{guess.code, {}};
  });
  for (const size_t i : run.looked_at) unsaid += guess_language(without_code(run.rows[i].row.content)).code.empty();
  if (unsaid > 0) run.notes.push_back(fmt::format("{} without a language that could be told, which pass", unsaid));
  return fmt::format("{}", fmt::join(codes, ", "));
}

}  // namespace fieldprint::distil
