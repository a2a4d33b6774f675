// Lengths of answer and trace.
#include <fmt/format.h>

#include "distil/filter.h"

namespace fieldprint::distil {
namespace {

struct Bound {
  const char* what;
  const char* unit;
  int64_t least, most;
  bool any() const { return least > 0 || most > 0; }
};

std::optional<Reason> outside(const Bound& bound, int64_t length) {
  const std::string detail = fmt::format("{} {}", length, bound.unit);
  if (length < bound.least) return Reason{fmt::format("{} too short", bound.what), detail};
  if (bound.most > 0 && length > bound.most) return Reason{fmt::format("{} too long", bound.what), detail};
  return std::nullopt;
}

}  // namespace

Setting filter_length(FilterRun& run) {
  const FilterOptions& o = run.options;
  const Bound answer{"answer", "characters", o.answer_least, o.answer_most};
  const Bound trace{"trace", "characters", o.trace_least, o.trace_most};
  const Bound tokens{"all of it", "tokens", o.tokens_least, o.tokens_most};
  std::string setting;
  for (const Bound& bound : {answer, trace, tokens}) {
    if (!bound.any()) continue;
    setting += fmt::format("{}{}: {} to {} {}", setting.empty() ? "" : "; ", bound.what, bound.least,
                           bound.most > 0 ? std::to_string(bound.most) : "any number of", bound.unit);
  }
  if (setting.empty()) return std::nullopt;
  run.each([&](const FilterRow& r) -> std::optional<Reason> {
    if (auto reason = outside(answer, static_cast<int64_t>(characters(r.row.content)))) return reason;
    if (auto reason = outside(trace, static_cast<int64_t>(characters(r.row.reasoning)))) return reason;
    if (tokens.any() && r.row.completion_tokens == 0) return Reason{"tokens not counted", {}};
    return tokens.any() ? outside(tokens, r.row.completion_tokens) : std::nullopt;
  });
  return setting;
}

}  // namespace fieldprint::distil
