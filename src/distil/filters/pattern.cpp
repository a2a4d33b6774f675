// Regular expressions that have to match somewhere in the answer, or must not.
#include "eval/pattern.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "distil/filter.h"
#include "fieldprint/error.h"

namespace fieldprint::distil {

Setting filter_pattern(FilterRun& run) {
  const FilterOptions& o = run.options;
  if (o.patterns.empty() && o.patterns_not.empty()) return std::nullopt;
  std::vector<Pattern> wanted, unwanted;
  for (const std::string& source : o.patterns) wanted.emplace_back(source);
  for (const std::string& source : o.patterns_not) unwanted.emplace_back(source);
  run.each([&](const FilterRow& r) -> std::optional<Reason> {
    try {
      for (size_t i = 0; i < wanted.size(); ++i)
        if (!wanted[i].search(r.row.content)) return Reason{"no match", o.patterns[i]};
      for (size_t i = 0; i < unwanted.size(); ++i)
        if (unwanted[i].search(r.row.content)) return Reason{"matches", o.patterns_not[i]};
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kLimit) throw;
      return Reason{"too much work to check", error.what()};
    }
    return std::nullopt;
  });
  std::string setting;
  if (!wanted.empty()) setting = fmt::format("matches {}", fmt::join(o.patterns, " and "));
  if (!unwanted.empty())
    setting += fmt::format("{}does not match {}", setting.empty() ? "" : "; ", fmt::join(o.patterns_not, " or "));
  return setting;
}

}  // namespace fieldprint::distil
