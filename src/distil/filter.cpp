#include "distil/filter.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <exception>
#include <filesystem>
#include <map>
#include <mutex>
#include <set>
#include <unordered_map>

#include "base/json.h"
#include "base/mapped_file.h"
#include "base/sha256.h"
#include "base/utf8.h"
#include "distil/filter_files.h"
#include "eval/pattern.h"
#include "fieldprint/error.h"
#include "train/dataset.h"
#include "train/folder_lock.h"

namespace fieldprint {
namespace distil {
namespace {

struct Info {
  const char* name;
  bool looks_at_all;
  Filter filter;
  const char* about;
};
constexpr Info kFilters[] = {
#define FILTER(name, looks_at_all, function, about) {name, looks_at_all, function, about},
#include "distil/filters/filters.def"
#undef FILTER
};

static_assert(kFilters[0].filter == filter_failed);  // there is nothing in its rows that others could look at

constexpr size_t kSamples = 3, kSampleCharacters = 400;

// Contents are texts, or lists of parts of which some are texts.
void add_content(const nlohmann::ordered_json& content, std::string& text) {
  if (content.is_string()) (text += content.get<std::string>()) += '\n';
  if (!content.is_array()) return;
  for (const auto& part : content) {
    const auto found = part.is_object() ? part.find("text") : part.end();
    if (part.is_object() && found != part.end() && found->is_string()) (text += found->get<std::string>()) += '\n';
  }
}

std::string contents(const std::string& messages, bool last_of_user) {
  const auto list = parse_ordered_json(messages, "messages");
  std::string text;
  for (const auto& message : list) {
    if (!message.is_object() || !message.contains("content")) continue;
    if (last_of_user) {
      if (message.value("role", "") != "user") continue;
      text.clear();
    }
    add_content(message["content"], text);
  }
  if (!text.empty()) text.pop_back();
  return text;
}

// Rows of one prompt get its number.
void number_prompts(std::vector<FilterRow>& rows) {
  std::unordered_map<std::string, size_t> prompts;
  for (FilterRow& r : rows)
    r.prompt = prompts.try_emplace(r.row.messages + '\n' + r.row.tools, prompts.size()).first->second;
}

void check_options(const FilterOptions& options) {
  if (options.files.empty()) throw Error(ErrorKind::kUsage, "which rows?", {}, "`fieldprint distil merge` writes them");
  if (options.out.empty() && !options.dry_run) throw Error(ErrorKind::kUsage, "into which folder?", {}, "--out DIR");
  for (const std::string& name : options.without) {
    const bool known =
        std::any_of(std::begin(kFilters), std::end(kFilters), [&](const Info& f) { return f.name == name; });
    if (known) continue;
    std::string all;
    for (const Info& filter : kFilters) all += (all.empty() ? "" : ", ") + std::string(filter.name);
    throw Error(ErrorKind::kUsage, fmt::format("there is no filter \"{}\"", beginning(name, 40)), {},
                "there are " + all);
  }
  if (std::find(options.without.begin(), options.without.end(), kFilters[0].name) != options.without.end())
    throw Error(ErrorKind::kUsage, "rows without an answer always go", "failed");
  if (!options.final_pattern.empty()) {
    if (options.verify == FilterOptions::Verify::kNo && !options.vote)
      throw Error(ErrorKind::kUsage, "nobody asks for final answers, and --final finds them", {},
                  "--verify, or --vote");
    const Pattern compiled(options.final_pattern);
  }
  if (!(options.near_share > 0)) throw Error(ErrorKind::kUsage, "what share of two answers is near? It is above 0");
}

FilterReport::Filter report_of(const FilterRun& run, std::string setting) {
  FilterReport::Filter report;
  report.name = run.name, report.setting = std::move(setting), report.notes = run.notes;
  report.rows = static_cast<int64_t>(run.looked_at.size());
  for (const size_t i : run.looked_at) {
    bool dropped = false;
    for (const auto& [filter, reason] : run.rows[i].reasons) {
      if (filter != run.name) continue;
      dropped = true;
      FilterReport::Reason& into = report.reasons[reason.why];
      ++into.rows;
      if (into.samples.size() >= kSamples) continue;
      const TeacherRow& row = run.rows[i].row;
      into.samples.push_back({row.key, reason.detail, beginning(question_text(row.messages), kSampleCharacters),
                              beginning(row.content, kSampleCharacters)});
    }
    report.dropped += dropped;
  }
  return report;
}

void count_kept(const std::vector<FilterRow>& rows, FilterReport& report) {
  std::set<size_t> prompts, kept;
  std::map<std::array<std::string, 4>, int64_t> teachers;
  for (const FilterRow& r : rows) {
    prompts.insert(r.prompt);
    if (!r.reasons.empty()) continue;
    ++report.kept;
    kept.insert(r.prompt);
    report.kept_tokens += r.row.completion_tokens;
    const auto& t = r.row.teacher;
    ++teachers[{t.name, t.model_sha256, t.template_sha256, t.vocabulary_sha256}];
  }
  report.prompts = static_cast<int64_t>(prompts.size());
  report.kept_prompts = static_cast<int64_t>(kept.size());
  for (const auto& [t, count] : teachers) report.teachers.push_back({t[0], t[1], t[2], t[3], count});
}

}  // namespace

void FilterRun::each(const std::function<std::optional<Reason>(const FilterRow&)>& check, bool slow) {
  std::vector<std::optional<Reason>> found(looked_at.size());
  std::mutex mutex;
  std::exception_ptr fault;
  size_t faulty = looked_at.size();  // the first of the rows where something was thrown, whatever thread came first
  const size_t step = slow ? static_cast<size_t>(pool.threads()) * 2 : std::max<size_t>(1, looked_at.size());
  for (size_t begin = 0; begin < looked_at.size(); begin += step) {
    const size_t count = std::min(step, looked_at.size() - begin);
    pool.run(static_cast<int64_t>(count), [&](int64_t i, int) {
      const size_t n = begin + static_cast<size_t>(i);
      const FilterRow& row = rows[looked_at[n]];
      try {
        found[n] = check(row);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (n < faulty) faulty = n, fault = std::current_exception();
      }
    });
    if (fault) std::rethrow_exception(fault);
    if (slow && progress && !progress(name, begin + count, looked_at.size())) throw Error(ErrorKind::kLimit, "stopped");
  }
  for (size_t n = 0; n < found.size(); ++n)
    if (found[n]) drop(looked_at[n], std::move(found[n]->why), std::move(found[n]->detail));
}

std::vector<std::vector<size_t>> FilterRun::by_prompt() const {
  std::map<size_t, std::vector<size_t>> groups;  // prompts are numbered in the order of their first keys
  for (const size_t i : looked_at) groups[rows[i].prompt].push_back(i);
  std::vector<std::vector<size_t>> all;
  for (auto& [prompt, group] : groups) all.push_back(std::move(group));
  return all;
}

std::string conversation_text(const std::string& messages) { return contents(messages, false); }
std::string question_text(const std::string& messages) { return contents(messages, true); }

size_t characters(std::string_view text) {
  size_t count = 0;
  for (size_t at = 0; at < text.size(); ++count) at += utf8_at(text, at).length;
  return count;
}

std::string beginning(std::string_view text, size_t most) {
  size_t at = 0;
  for (size_t count = 0; at < text.size() && count < most; ++count) at += utf8_at(text, at).length;
  std::string begin;
  for (size_t i = 0; i < at;) {
    const Utf8Char c = utf8_at(text, i);
    append_utf8(begin, c.code);
    i += c.length;
  }
  return at < text.size() ? begin + "..." : begin;
}

}  // namespace distil

std::vector<FilterInfo> distil_filters() {
  std::vector<FilterInfo> all;
  for (const auto& filter : distil::kFilters) all.push_back({filter.name, filter.about, filter.looks_at_all});
  return all;
}

FilterReport filter_distilled(const FilterOptions& options, const Progress& progress) {
  using namespace distil;
  check_options(options);
  FilterReport report;
  std::vector<FilterRow> rows;
  const RowFiles files(options.files, rows, progress);
  report.files = files.described();
  number_prompts(rows);
  report.rows = static_cast<int64_t>(rows.size());
  std::optional<FolderLock> lock;
  if (!options.dry_run) {
    make_folder(options.out);
    lock.emplace(options.out);
  }
  ThreadPool pool(options.threads > 0 ? options.threads : hardware_threads());
  for (const Info& filter : kFilters) {
    const auto& without = options.without;
    if (std::find(without.begin(), without.end(), filter.name) != without.end()) continue;
    FilterRun run{options, rows, {}, pool, progress, filter.name};
    for (size_t i = 0; i < rows.size(); ++i)
      if (rows[i].row.failed() ? &filter == &kFilters[0] : filter.looks_at_all || rows[i].reasons.empty())
        run.looked_at.push_back(i);
    if (progress && !progress(filter.name, 0, run.looked_at.size())) throw Error(ErrorKind::kLimit, "stopped");
    if (auto setting = filter.filter(run)) report.filters.push_back(report_of(run, std::move(*setting)));
  }
  count_kept(rows, report);
  if (!options.dry_run) write_filtered(options, files, rows, report);
  return report;
}

}  // namespace fieldprint
