// A filter: one function, and one row in filters.def. It looks at rows and says why some of them go; it never takes
// anything back that another has said.
//
// Requests that failed are seen by the first filter alone: they always go. Filters that look at each row by itself see
// all answered rows, so that a row's reasons are all of theirs. Those that compare rows, or cost time or money, see
// only the rows that nobody has spoken against yet.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/thread_pool.h"
#include "fieldprint/distil_filter.h"
#include "train/distilled.h"

namespace fieldprint::distil {

struct Reason {
  std::string why;     // few words, the same for all rows of a kind: "cut by its length"
  std::string detail;  // of this row; ""
};

struct FilterRow {
  TeacherRow row;         // without prompt_ids and token_ids
  std::string_view line;  // as it stood in its file, without the line's end
  size_t file = 0;        // which of the files, for its .top
  size_t prompt = 0;      // rows of one prompt have a number in common: in the order of the keys, from 0
  struct Given {
    std::string filter;
    Reason reason;
  };
  std::vector<Given> reasons;
};

// What a filter works on. One thread.
struct FilterRun {
  const FilterOptions& options;
  std::vector<FilterRow>& rows;   // all, by key
  std::vector<size_t> looked_at;  // those that this filter is to look at, ascending
  ThreadPool& pool;
  const Progress& progress;
  std::string name;  // of the filter
  std::vector<std::string> notes = {};

  void drop(size_t row, std::string why, std::string detail = {}) {
    rows[row].reasons.push_back({name, {std::move(why), std::move(detail)}});
  }
  // Asks `check` about each row on all threads, and drops in the order of the keys. What it throws is thrown again.
  // Calls `progress` where the filter is named `slow`.
  void each(const std::function<std::optional<Reason>(const FilterRow&)>& check, bool slow = false);
  // The rows looked at, those of one prompt together: by key within it, prompts by their first key.
  std::vector<std::vector<size_t>> by_prompt() const;
};

// What the filter was told, in words, as it stands in the report; nullopt: it is not asked for, and did nothing.
using Setting = std::optional<std::string>;
using Filter = Setting (*)(FilterRun&);

#define FILTER(name, looks_at_all, function, about) Setting function(FilterRun& run);
#include "distil/filters/filters.def"
#undef FILTER

// ---- Of a row's texts

std::string conversation_text(const std::string& messages);  // the contents of all messages, a line between them
std::string question_text(const std::string& messages);      // of the last message of a user
size_t characters(std::string_view text);                    // code points; a broken byte is one
std::string beginning(std::string_view text, size_t most);   // cut between code points, with "..." where it was cut

}  // namespace fieldprint::distil
