// How an answer came to its end: failed, cut, without an end of its thinking, without anything in it.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "distil/filter.h"
#include "text/unicode_class.h"

namespace fieldprint::distil {
namespace {

bool blank(std::string_view text) {
  const CharClass* classes = char_classes();
  for (size_t at = 0; at < text.size();) {
    const ClassedChar c = class_at(classes, text, at);
    if (c.kind != kSpace) return false;
    at += c.length;
  }
  return true;
}

}  // namespace

Setting filter_failed(FilterRun& run) {
  for (const size_t i : run.looked_at) {
    const TeacherRow& row = run.rows[i].row;
    if (row.failed()) run.drop(i, beginning(row.failure, 40), beginning(row.detail, 200));
  }
  return "";
}

Setting filter_finish(FilterRun& run) {
  const std::vector<std::string>& good = run.options.finish;
  run.each([&](const FilterRow& r) -> std::optional<Reason> {
    const std::string& finish = r.row.finish_reason;
    if (std::find(good.begin(), good.end(), finish) != good.end()) return std::nullopt;
    return Reason{finish.empty() ? "no finish reason" : beginning(finish, 40), {}};
  });
  std::vector<std::string> words = good;
  for (std::string& word : words)
    if (word.empty()) word = "none";
  return fmt::format("ended by {}", fmt::join(words, ", "));
}

Setting filter_trace(FilterRun& run) {
  const bool wanted = run.options.trace;
  run.each([&](const FilterRow& r) -> std::optional<Reason> {
    if (r.row.unclosed) return Reason{"not ended", {}};
    if (wanted && blank(r.row.reasoning)) return Reason{"none", {}};
    return std::nullopt;
  });
  return wanted ? "there, and ended" : "ended where there is one";
}

Setting filter_empty(FilterRun& run) {
  run.each([](const FilterRow& r) -> std::optional<Reason> {
    const std::string& calls = r.row.tool_calls;
    if (!blank(r.row.content) || !(calls.empty() || calls == "[]")) return std::nullopt;
    return Reason{r.row.reasoning.empty() ? "nothing" : "a trace alone", {}};
  });
  return "";
}

}  // namespace fieldprint::distil
