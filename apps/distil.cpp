// `fieldprint distil`: a teacher's answers become a student's rows.
#include "fieldprint/distil.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include "command.h"
#include "distil_actions.h"
#include "distil_flags.h"
#include "fieldprint/error.h"
#include "options.h"
#include "output.h"
#include "signals.h"

namespace fieldprint::cli {

namespace {

uint64_t unsigned_of(int64_t count) { return static_cast<uint64_t>(std::max(int64_t{0}, count)); }

std::string time_text(double seconds) {
  const auto all = static_cast<int64_t>(std::llround(seconds));
  return fmt::format("{}:{:02}:{:02}", all / 3600, all / 60 % 60, all % 60);
}

// ---- plan

struct Plan {
  DistilFlags flags;
  float speed = 0;
  bool json = false;

  int operator()() const {
    const DistilOptions options = flags.wanted();
    const DistilPlan plan = plan_distil(options, static_cast<double>(speed));
    if (json) print_json(plan);
    else print(plan, options);
    return kDone;
  }

  static void print_json(const DistilPlan& plan) {
    nlohmann::ordered_json shown = nlohmann::ordered_json::array();
    for (const auto& one : plan.shown) shown.push_back({{"text", one.text}, {"tokens", one.tokens}});
    write_json({{"prompts", plan.prompts},
                {"duplicates", plan.duplicates},
                {"rows", plan.rows},
                {"done", plan.done},
                {"failed", plan.failed},
                {"prompt_tokens", plan.prompt_tokens},
                {"counted", plan.counted},
                {"most_tokens", plan.most_tokens},
                {"likely_tokens", plan.likely_tokens},
                {"money", plan.money},
                {"seconds", plan.seconds},
                {"shown", shown}});
  }

  void print(const DistilPlan& plan, const DistilOptions& options) const {
    for (const auto& one : plan.shown) {
      write_out(fmt::format("-- {}{}\n", plan.counted ? "" : "about ", counted(unsigned_of(one.tokens), "token")),
                Style::kDim);
      write_out(one.text + (one.text.ends_with('\n') ? "" : "\n"));
    }
    if (!plan.shown.empty()) write_out("\n");
    std::string shard = options.shards > 1 ? fmt::format(" of shard {} of {}", options.shard, options.shards) : "";
    write_out(fmt::format("{}, {} {}, {}{}\n", counted(unsigned_of(plan.prompts), "prompt"), plan.duplicates,
                          plan.duplicates == 1 ? "duplicate" : "duplicates", counted(unsigned_of(plan.rows), "row"),
                          shard));
    write_out(fmt::format("{} answered on disk, {} failed\n", plan.done, plan.failed));
    write_out(fmt::format("left: {}{} of prompts", plan.counted ? "" : "about ",
                          counted(unsigned_of(plan.prompt_tokens), "token")));
    if (plan.likely_tokens > 0)
      write_out(fmt::format(", about {} of answers as they were so far", count_text(unsigned_of(plan.likely_tokens))));
    if (plan.most_tokens > 0)
      write_out(fmt::format(", {} of answers at most", count_text(unsigned_of(plan.most_tokens))));
    write_out("\n");
    if (plan.money > 0)
      write_out(fmt::format("cost: {} {:.2f}\n", plan.likely_tokens > 0 ? "about" : "at most", plan.money));
    if (plan.seconds > 0) write_out(fmt::format("time: about {} at {} tokens/s\n", time_text(plan.seconds), speed));
    write_out("nothing was sent\n");
  }
};

// ---- run

constexpr std::string_view kEnds[] = {"done", "stopped", "tokens", "time", "money", "gave up"};

// One line while it runs: redrawn on a terminal, now and then elsewhere.
class Display {
 public:
  explicit Display(bool quiet) : quiet_(quiet), bar_(ProgressBar::Unit::kCount, quiet) {}

  void show(const DistilState& state) {
    const std::string text = line(state);
    bar_.update("rows", unsigned_of(state.found + state.done + state.failed), unsigned_of(state.rows), text);
    if (quiet_ || err_is_terminal()) return;
    const auto now = Clock::now();
    const bool changed = state.waiting != waiting_;
    waiting_ = state.waiting;
    if (!changed && now < next_) return;
    next_ = now + kPause;
    const double left = state.seconds_left();
    note(fmt::format("{} of {}, {}{}", state.found + state.done + state.failed, counted(unsigned_of(state.rows), "row"),
                     text, left > 0 ? ", " + time_text(left) + " left" : ""));
  }
  void wipe() { bar_.wipe(); }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::seconds kPause{10};

  static std::string line(const DistilState& s) {
    if (s.waiting) return fmt::format("the teacher does not answer ({}); waiting", printable_line(s.trouble));
    std::string text = fmt::format("{} done, {} failed, {} of {} in flight, {:.0f} tokens/s", s.done, s.failed,
                                   s.in_flight, s.limit, s.tokens_per_second());
    if (s.cut > 0)
      text += fmt::format(", {:.0f}% cut off", 100.0 * static_cast<double>(s.cut) / static_cast<double>(s.done));
    return text;
  }

  bool quiet_;
  ProgressBar bar_;
  Clock::time_point next_ = Clock::now() + kPause;
  bool waiting_ = false;
};

struct Run {
  DistilFlags flags;
  bool json = false, quiet = false;

  int operator()() const {
    const DistilOptions options = flags.wanted();
    const SignalGuard guard;
    Display display(quiet);
    const DistilReport report = run_distil(
        options, [&](const DistilState& state) { display.show(state); }, interrupt_flag());
    display.wipe();
    if (!quiet)
      for (const std::string& text : report.notes) note(text);
    if (json) print_json(report);
    else print(report);
    flush_out();  // an error drops what is not out yet
    if (!quiet) tell_next(report);
    if (report.end == DistilEnd::kStopped) throw Interrupted{};
    if (report.end == DistilEnd::kGaveUp)
      throw Error(
          ErrorKind::kIo,
          fmt::format("no answer for {:.0f} s, so the run ends: {}", options.give_up_seconds, report.state.trouble), {},
          "the same command goes on with what is left");
    if (report.finishes.empty() && !report.failures.empty() && report.end == DistilEnd::kDone)
      throw Error(ErrorKind::kIo, "no row was answered: " + report.examples.begin()->second, {},
                  "the same command tries them again");
    return kDone;
  }

  static void print_json(const DistilReport& report) {
    const DistilState& s = report.state;
    write_json({{"end", kEnds[static_cast<size_t>(report.end)]},
                {"rows", s.rows},
                {"found", s.found},
                {"done", s.done},
                {"failed", s.failed},
                {"retries", s.retries},
                {"cut", s.cut},
                {"prompt_tokens", s.prompt_tokens},
                {"tokens", s.tokens},
                {"seconds", s.seconds},
                {"failures", report.failures},
                {"examples", report.examples},
                {"finishes", report.finishes},
                {"path", report.path}});
  }

  static void print(const DistilReport& report) {
    const DistilState& s = report.state;
    int64_t answered = 0;
    for (const auto& [reason, rows] : report.finishes) answered += rows;
    write_out(fmt::format("{}: {} of {} answered\n", printable_line(report.path), answered,
                          counted(unsigned_of(s.rows), "row")));
    for (const auto& [reason, rows] : report.finishes)
      write_out(fmt::format("  {:<21}{}\n", printable_line(reason), rows));
    for (const auto& [reason, rows] : report.failures) {
      const std::string& example = report.examples.at(reason);
      write_out(
          fmt::format("  failed, {:<13}{}{}\n", reason, rows, example.empty() ? "" : "  " + printable_line(example)));
    }
    if (s.cut > 0)
      write_out(
          fmt::format("  {} of this run's {} answers are cut off: --max-tokens lets them be longer\n", s.cut, s.done));
    write_out(fmt::format("this run: {} answered, {} failed, {}, {} of answers, {:.1f} tokens/s, {}\n", s.done,
                          s.failed, counted(unsigned_of(s.retries), "further attempt"),
                          counted(unsigned_of(s.tokens), "token"), s.tokens_per_second(), time_text(s.seconds)));
  }

  // What the same command would do next.
  static void tell_next(const DistilReport& report) {
    if (report.end >= DistilEnd::kTokens && report.end <= DistilEnd::kMoney)
      note(fmt::format("the budget of {} is spent; a larger one goes on", kEnds[static_cast<size_t>(report.end)]));
    else if (!report.failures.empty()) note("the same command tries again what has failed");
  }
};

// ---- merge

struct Merge {
  std::vector<std::string> from;
  std::string out;
  bool json = false;

  int operator()() const {
    if (from.empty())
      throw Error(ErrorKind::kUsage, "which rows?", {}, "`fieldprint distil merge DIR --out rows.jsonl`");
    if (out.empty()) throw Error(ErrorKind::kUsage, "into which file?", {}, "--out rows.jsonl");
    const DistilMerged merged = merge_distil(from, out);
    for (const std::string& text : merged.notes) note(printable_line(text));
    if (json) {
      write_json({{"rows", merged.rows},
                  {"failed", merged.failed},
                  {"repeated", merged.repeated},
                  {"records", merged.records},
                  {"sha256", merged.sha256},
                  {"top_sha256", merged.top_sha256}});
      return kDone;
    }
    write_out(fmt::format("{}: {}, {} of them failed, {} left out as repeated\n", printable_line(out),
                          counted(unsigned_of(merged.rows), "row"), merged.failed, merged.repeated));
    write_out(fmt::format("sha256 {}\n", merged.sha256));
    if (merged.records > 0)
      write_out(fmt::format("sha256 {} of {} with probabilities, beside it\n", merged.top_sha256,
                            counted(unsigned_of(merged.records), "row")));
    return kDone;
  }
};

}  // namespace

Action add_distil_plan(CLI::App& app) {
  auto plan = std::make_shared<Plan>();
  add_distil_flags(app, plan->flags);
  add_number(app, "--tokens-per-second", plan->speed, 0, 1e9f,
             "What the teacher makes, for the time it takes; 0 = not known")
      ->group("Output");
  add_flag(app, "--json", plan->json, "The plan as one JSON object")->group("Output");
  app.footer(
      "  fieldprint distil plan prompts.jsonl --teacher smollm2-135m\n"
      "  fieldprint distil plan --teacher http://127.0.0.1:8080 --template \"Explain {{topic}}.\" --each "
      "topic=rain,snow");
  return [plan] { return (*plan)(); };
}

Action add_distil_run(CLI::App& app) {
  auto run = std::make_shared<Run>();
  add_distil_flags(app, run->flags);
  add_flag(app, "--json", run->json, "The summary as one JSON object")->group("Output");
  add_quiet(app, run->quiet);
  app.footer(
      "  fieldprint distil run prompts.jsonl --teacher smollm2-135m --out rows\n"
      "  fieldprint distil run prompts.jsonl --teacher http://127.0.0.1:8080 --n 4 --temp 0.8 --logprobs 16 --out "
      "rows\n"
      "  fieldprint distil run prompts.csv --teacher https://api.example.com --api-key-env KEY --shard 1/4 --out rows");
  return [run] { return (*run)(); };
}

Action add_distil_merge(CLI::App& app) {
  auto merge = std::make_shared<Merge>();
  add_texts(app, "FROM", merge->from, "FILE", "Folders of `distil run`, or files of rows")
      ->expected(0, CLI::detail::expected_max_vector_size)
      ->allow_extra_args();
  add_text(app, "-o,--out", merge->out, "FILE", "The file of all rows, sorted by key");
  add_flag(app, "--json", merge->json, "The summary as one JSON object")->group("Output");
  app.footer("  fieldprint distil merge rows --out rows.jsonl");
  return [merge] { return (*merge)(); };
}

std::span<const Command> distil_actions() {
  static constexpr Command kActions[] = {
      {"plan", "Distil", "Show what would be asked and what it would cost; send nothing", add_distil_plan},
      {"run", "Distil", "Ask a teacher for answers; goes on where it was", add_distil_run},
      {"merge", "Distil", "Put all shards into one sorted file", add_distil_merge},
      {"filter", "Distil", "Keep the rows to learn from, and say why the others went", add_distil_filter},
      {"card", "Distil", "Write what became of it all: data, teacher, training, before and after", add_distil_card},
  };
  return kActions;
}

}  // namespace fieldprint::cli
