// `fieldprint distil filter`: which of a teacher's rows a student should learn from.
#include "fieldprint/distil_filter.h"

#include <fmt/format.h>

#include <cstdlib>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>

#include "command.h"
#include "distil_actions.h"
#include "fieldprint/error.h"
#include "files.h"
#include "options.h"
#include "output.h"
#include "signals.h"

namespace fieldprint::cli {

namespace {

constexpr const char* kCommon = "Answers";
constexpr const char* kChecks = "Checks";
constexpr const char* kAmong = "Among answers";
constexpr const char* kJudge = "Judge";

struct Filter {
  FilterOptions options;
  std::string schema_file, judge, judge_template_file, key_variable;
  bool json = false, quiet = false, list = false, no_duplicates = false;

  int operator()() const;
  void show(const FilterReport& report) const;
};

// "MIN-MAX", "MIN-" or "-MAX".
void add_range(CLI::App& app, const std::string& name, int64_t& least, int64_t& most, const std::string& about) {
  add_value(app, name, "MIN-MAX", about, [&least, &most, name](const std::string& text) {
    const size_t dash = text.find('-');
    if (dash == std::string::npos || text.size() == 1)
      throw Error(ErrorKind::kUsage, fmt::format("{} must be MIN-MAX, MIN- or -MAX, not '{}'", name, text));
    constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
    least = dash > 0 ? parse_integer(text.substr(0, dash), 0, kMost, name) : 0;
    most = dash + 1 < text.size() ? parse_integer(text.substr(dash + 1), std::max<int64_t>(1, least), kMost, name) : 0;
  })->group(kCommon);
}

// Values between commas; an empty one stands for none.
std::vector<std::string> between_commas(const std::string& text) {
  std::vector<std::string> values;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    values.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return values;
}

// Flags that say more of another one: alone they do nothing.
constexpr struct {
  const char *flag, *needs, *or_needs;
} kMore[] = {{"--final", "--verify", "--vote"},        {"--votes", "--vote", nullptr},
             {"--shell", "--command", nullptr},        {"--command-timeout", "--command", nullptr},
             {"--judge-model", "--judge", nullptr},    {"--judge-key-env", "--judge", nullptr},
             {"--judge-by", "--judge", nullptr},       {"--judge-template", "--judge", nullptr},
             {"--judge-sampling", "--judge", nullptr}, {"--best", "--judge", nullptr},
             {"--score", "--judge", nullptr}};

void require_what_flags_need(const CLI::App& app) {
  for (const auto& [flag, needs, or_needs] : kMore)
    if (app.count(flag) > 0 && app.count(needs) == 0 && (or_needs == nullptr || app.count(or_needs) == 0))
      throw Error(ErrorKind::kUsage, fmt::format("{} does nothing without {}", flag, needs), {},
                  or_needs == nullptr ? fmt::format("add {}, or leave {} out", needs, flag)
                                      : fmt::format("add {} or {}", needs, or_needs));
}

uint64_t unsigned_of(int64_t count) { return static_cast<uint64_t>(std::max(int64_t{0}, count)); }

int Filter::operator()() const {
  if (list) {
    for (const FilterInfo& info : distil_filters()) write_out(fmt::format("{:<14} {}\n", info.name, info.about));
    return kDone;
  }
  FilterOptions wanted = options;
  wanted.duplicates = !no_duplicates;
  if (!schema_file.empty()) wanted.schema = read_file(schema_file);
  if (!judge_template_file.empty()) wanted.judge_template = read_file(judge_template_file);
  if (!judge.empty()) {
    const bool url = judge.starts_with("http://") || judge.starts_with("https://");
    wanted.judge.model = url ? judge : model_path(judge);
    if (!key_variable.empty()) {
      const char* key = std::getenv(key_variable.c_str());
      if (key == nullptr || *key == '\0')
        throw Error(ErrorKind::kUsage, fmt::format("the variable {} is empty", key_variable), {},
                    "--judge-key-env names the variable that holds the key, not the key");
      wanted.judge.api_key = key;
    }
  }
  const SignalGuard guard;
  ProgressBar bar(ProgressBar::Unit::kCount, quiet);
  FilterReport report;
  try {
    report = filter_distilled(wanted, bar.callback());
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kLimit && interrupted()) throw Interrupted{};
    throw;
  }
  bar.wipe();
  if (json) write_json_text(to_json(report));
  else show(report);
  return kDone;
}

void Filter::show(const FilterReport& report) const {
  for (const auto& filter : report.filters) {
    if (filter.dropped > 0 || !filter.setting.empty())
      write_out(fmt::format("{:<14} {:>8} of {:<8} {}\n", filter.name, filter.dropped, filter.rows,
                            printable_line(filter.setting)));
    for (const auto& [why, reason] : filter.reasons)
      write_out(fmt::format("  {:>8}  {}\n", reason.rows, printable_line(why)), Style::kDim);
    if (!quiet)
      for (const std::string& text : filter.notes) note(fmt::format("{}: {}", filter.name, printable_line(text)));
  }
  const double share =
      report.rows > 0 ? 100.0 * static_cast<double>(report.kept) / static_cast<double>(report.rows) : 0;
  write_out(fmt::format("kept {} of {} ({:.1f}%), of {} of {}\n", report.kept, counted(unsigned_of(report.rows), "row"),
                        share, report.kept_prompts, counted(unsigned_of(report.prompts), "prompt")));
  if (options.dry_run) write_out("nothing was written\n");
  else
    write_out(fmt::format("{0}/kept.jsonl  SHA-256 {1}\n{0}/dropped.jsonl, report.md, report.json\n",
                          printable_line(options.out), report.kept_sha256));
}

}  // namespace

Action add_distil_filter(CLI::App& app) {
  auto filter = std::make_shared<Filter>();
  FilterOptions& o = filter->options;
  add_texts(app, "FILE", o.files, "FILE", "Rows, as `distil merge` writes them")
      ->expected(0, CLI::detail::expected_max_vector_size)
      ->allow_extra_args();
  add_text(app, "-o,--out", o.out, "DIR", "Folder for kept.jsonl, dropped.jsonl and the report");
  add_flag(app, "--dry-run", o.dry_run, "Only say what would go; run no command, ask no judge");
  add_flag(app, "--ls", filter->list, "List the filters in the order in which they run");
  add_texts(app, "--without", o.without, "FILTER", "Leave this filter out (repeatable)");

  add_value(app, "--finish", "A,B", "Reasons of ending that are good; an empty one stands for none given",
            [&o](const std::string& text) { o.finish = between_commas(text); })
      ->group(kCommon);
  add_flag(app, "--trace", o.trace, "There has to be a trace of thinking")->group(kCommon);
  add_range(app, "--answer-chars", o.answer_least, o.answer_most, "Length of the answer in characters");
  add_range(app, "--trace-chars", o.trace_least, o.trace_most, "Length of the trace in characters");
  add_range(app, "--tokens", o.tokens_least, o.tokens_most, "Tokens of both, as the teacher counted");
  add_value(app, "--language", "A,B", "Languages of the answer, such as en,de", [&o](const std::string& text) {
    o.languages = between_commas(text);
  })->group(kCommon);

  add_text(app, "--json-schema", filter->schema_file, "FILE", "The answer has to be JSON of this schema")
      ->group(kChecks);
  add_texts(app, "--match", o.patterns, "REGEX", "The answer has to hold a match (repeatable)")->group(kChecks);
  add_texts(app, "--no-match", o.patterns_not, "REGEX", "The answer must not hold one (repeatable)")->group(kChecks);
  add_value(app, "--verify", "all|given", "Compare final answers with the rows' own: `given` passes rows without one",
            [&o](const std::string& text) {
              if (text != "all" && text != "given")
                throw Error(ErrorKind::kUsage, fmt::format("--verify is all or given, not '{}'", text));
              o.verify = text == "all" ? FilterOptions::Verify::kAlways : FilterOptions::Verify::kWhereGiven;
            })
      ->group(kChecks);
  add_text(app, "--final", o.final_pattern, "REGEX", "Finds the final answer: group 1 of the last match")
      ->group(kChecks);
  add_texts(app, "--eval-data", o.eval_data, "FILE", "Test sets or a folder of them: rows that hold pieces of them go")
      ->group(kChecks);
  add_text(app, "--command", o.command, "COMMAND", "Reads the row on standard input; exit code 0 keeps it")
      ->group(kChecks);
  add_flag(app, "--shell", o.command_shell, "The command is for /bin/sh")->group(kChecks);
  add_value(app, "--command-timeout", "SECONDS", "Then it is killed, and the row goes",
            [&o](const std::string& text) {
              o.command_seconds = static_cast<double>(parse_number(text, 0.001f, 1e6f, "--command-timeout"));
            })
      ->default_str("10")
      ->group(kChecks);

  add_flag(app, "--vote", o.vote, "Of a prompt's answers keep those that most agree on")->group(kAmong);
  add_integer(app, "--votes", o.votes_least, 1, "That have to agree at least")->group(kAmong);
  add_value(app, "--near", "SHARE", "Share of runs of 5 words in both that makes answers near duplicates; 2: none",
            [&o](const std::string& text) {
              o.near_share = std::strtod(fmt::format("{}", parse_number(text, 0.01f, 2, "--near")).c_str(), nullptr);
            })
      ->default_str("0.8")
      ->group(kAmong);
  add_flag(app, "--keep-duplicates", filter->no_duplicates, "Look for none")->group(kAmong);

  add_text(app, "--judge", filter->judge, "MODEL", "Who judges: a model's name or file, or a server's URL")
      ->group(kJudge);
  add_text(app, "--judge-model", o.judge.name, "NAME", "Which of the server's models")->group(kJudge);
  add_text(app, "--judge-key-env", filter->key_variable, "VARIABLE", "Environment variable that holds the server's key")
      ->group(kJudge);
  add_value(app, "--judge-by", "score|pairs", "A score from 1 to 10 each, or the better of two",
            [&o](const std::string& text) {
              if (text != "score" && text != "pairs")
                throw Error(ErrorKind::kUsage, fmt::format("--judge-by is score or pairs, not '{}'", text));
              o.judge_mode = text == "score" ? FilterOptions::Judge::kScore : FilterOptions::Judge::kPairs;
            })
      ->default_str("score")
      ->group(kJudge);
  add_text(app, "--judge-template", filter->judge_template_file, "FILE", "Jinja source of what it is asked")
      ->group(kJudge);
  add_text(app, "--judge-sampling", o.judge_sampling, "JSON", "Fields of the request to it")->group(kJudge);
  add_integer(app, "--best", o.best, 0, "Of a prompt's answers the best N by score; 0: all")->group(kJudge);
  add_value(app, "--score", "N", "Answers below this score go", [&o](const std::string& text) {
    o.score_least = static_cast<double>(parse_number(text, 0, 10, "--score"));
  })->group(kJudge);

  add_integer(app, "--threads", o.threads, 1, "Threads, and commands at a time")->default_str("");
  add_flag(app, "--json", filter->json, "The report as JSON")->group("Output");
  add_quiet(app, filter->quiet);
  app.footer(
      "  fieldprint distil filter rows.jsonl --out filtered\n"
      "  fieldprint distil filter rows.jsonl --out filtered --language en --eval-data tests --verify given\n"
      "  fieldprint distil filter rows.jsonl --out filtered --judge http://127.0.0.1:8080 --best 1 --score 6\n"
      "  fieldprint distil filter rows.jsonl --out filtered --command \"python3 check.py\"");
  return [filter, &app] {
    require_what_flags_need(app);
    return (*filter)();
  };
}

}  // namespace fieldprint::cli
