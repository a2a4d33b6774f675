// `fieldprint eval`: how many of a data set's questions models answer well, and how they differ.
#include "fieldprint/eval.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "command.h"
#include "fieldprint/error.h"
#include "options.h"
#include "output.h"
#include "signals.h"

namespace fieldprint::cli {

namespace {

constexpr const char* kTasks = "arc_challenge,arc_easy,boolq,hellaswag,openbookqa,piqa,winogrande";

struct Eval {
  std::vector<std::string> models;
  std::string tasks = kTasks, style = "lm-eval", format = "table";
  std::vector<std::string> data;
  int shots = -1, seed = -1;
  bool chat = false, no_chat = false, multiturn = false, one_turn = false, no_resume = false, quiet = false;
  LoadOptions load;
  EvalOptions options;

  int operator()();
  void read_flags();
  struct Scored;
  Scored find(const std::string& name) const;
  EvalResult score(const Scored& model) const;
};

// A model that is there, with its adapters.
struct Eval::Scored {
  std::string name, path;
  LoadOptions load;
};

std::string time_text(double seconds) {
  const auto whole = static_cast<int64_t>(seconds);
  if (seconds < 60) return fmt::format("{:.1f} s", seconds);
  if (whole < 3600) return fmt::format("{}:{:02} min", whole / 60, whole % 60);
  return fmt::format("{}:{:02} h", whole / 3600, whole / 60 % 60);
}

double rate(double count, double seconds) { return seconds > 0 ? count / seconds : 0; }

double computing_seconds(const EvalResult& result) {
  double sum = 0;
  for (const EvalTaskResult& task : result.tasks) sum += task.seconds;
  return sum;
}

// ---- ls

int list_tasks(const EvalOptions& options, bool json) {
  const auto tasks = list_eval_tasks(options);
  if (json) {
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const EvalTaskInfo& task : tasks) {
      list.push_back({{"name", task.name},
                      {"group", task.group},
                      {"kind", task.kind},
                      {"version", task.version},
                      {"metrics", task.metrics},
                      {"shots", task.shots},
                      {"split", task.split},
                      {"dataset", task.dataset},
                      {"source", task.source},
                      {"licence", task.licence},
                      {"note", task.note},
                      {"file", task.file}});
    }
    write_json(list);
    return kDone;
  }
  std::string group;
  for (const EvalTaskInfo& task : tasks) {
    if (!task.group.empty() && task.group == group) {
      write_out(fmt::format("  {:<30} {}\n", task.name, task.file.empty() ? "" : task.file));
      continue;
    }
    group = task.group;
    std::string metrics;
    for (const std::string& metric : task.metrics) metrics += (metrics.empty() ? "" : ", ") + metric;
    write_out(task.group.empty() ? task.name : fmt::format("{} (of which: {} ...)", task.group, task.name),
              Style::kBold);
    write_out(fmt::format("\n  {}, {}-shot: {}\n", task.kind, task.shots, metrics));
    write_out(fmt::format("  data     {}, {} split, {}\n", task.dataset, task.split,
                          task.licence.empty() ? "licence not stated" : task.licence));
    write_out(fmt::format("  from     {}\n", task.source));
    if (!task.note.empty()) write_out(fmt::format("  note     {}\n", task.note));
    write_out(fmt::format("  file     {}\n",
                          task.file.empty() ? "not found: --data FOLDER or --data " + task.name + "=FILE" : task.file));
  }
  return kDone;
}

// ---- While it runs

class Display {
 public:
  explicit Display(bool quiet) : quiet_(quiet), bar_(ProgressBar::Unit::kCount, quiet) {}

  bool operator()(const EvalProgress& now) {
    const auto done = static_cast<uint64_t>(now.done), total = static_cast<uint64_t>(now.total);
    const bool go_on = bar_.update(now.task, done, total);
    if (!quiet_ && !err_is_terminal() && total > 0 && done * kLines / total > told_) {  // a log gets some lines
      told_ = done * kLines / total;
      write_err(fmt::format("{}  {}/{}{}\n", now.task, done, total,
                            now.seconds_left < 0 ? "" : "  " + time_text(now.seconds_left) + " left"));
    }
    return go_on && !interrupted();
  }
  ProgressBar& bar() { return bar_; }

 private:
  static constexpr uint64_t kLines = 10;
  bool quiet_;
  uint64_t told_ = 0;
  ProgressBar bar_;
};

// ---- What came out

std::string cost_text(const EvalResult& result) {
  const double seconds = computing_seconds(result);
  uint64_t answered = 0, timed = 0;
  double writing_seconds = 0;  // of `timed`: tasks of which nothing came from the log
  int resumed = 0, documents = 0;
  for (const EvalTaskResult& task : result.tasks) {
    answered += task.answer_tokens;
    if (task.resumed == 0 && task.answer_tokens > 0) timed += task.answer_tokens, writing_seconds += task.seconds;
    resumed += task.resumed;
    documents += task.documents;
  }
  std::string text = fmt::format("{}: {} in {}", result.model, counted(static_cast<uint64_t>(documents), "document"),
                                 time_text(seconds));
  if (resumed > 0) text += fmt::format(", {} of them from the log", resumed);
  if (const uint64_t computed = result.tokens_computed(), read = result.tokens_read(); computed > 0) {
    text += fmt::format(
        "; {} tokens computed, {:.0f} tokens/s; reading each request alone takes {}, {:.2f} times as many", computed,
        rate(static_cast<double>(computed), seconds), read, static_cast<double>(read) / static_cast<double>(computed));
  }
  if (answered > 0) text += fmt::format("; {} tokens of answers", answered);
  if (timed > 0)
    text += fmt::format(", {:.0f} tokens/s, prompts and all", rate(static_cast<double>(timed), writing_seconds));
  return text;
}

// What stands behind the table.
std::string remarks(const EvalResult& result) {
  std::string text;
  for (const EvalTaskResult& task : result.tasks) {
    if (task.shortened > 0)
      text += fmt::format("{}: {} longer than the context, the beginning left out\n", task.name,
                          task.shortened == 1 ? "1 request was" : fmt::format("{} requests were", task.shortened));
    for (const EvalMetricValue& metric : task.metrics)
      if (!std::isfinite(metric.value))
        text += fmt::format("{}: {} is beyond what a number of 64 bits holds\n", task.name, metric.name);
    if (!task.cut_share) continue;
    text += fmt::format(
        "{}: {:.1f}% of the answers ended at the limit, {:.1f}% were empty, {:.1f}% ended within a thought\n",
        task.name, 100 * *task.cut_share, 100 * *task.empty_share, 100 * *task.unclosed_share);
  }
  return text;
}

// The metric that cards name: acc_norm where a task has it, else its first.
const EvalMetricValue& main_metric(const EvalTaskResult& task) {
  const auto found = std::find_if(task.metrics.begin(), task.metrics.end(),
                                  [](const EvalMetricValue& metric) { return metric.name == "acc_norm"; });
  return found == task.metrics.end() ? task.metrics.front() : *found;
}

// A Markdown table.
std::string markdown(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths(rows[0].size(), 3);
  for (const auto& row : rows)
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  std::string text;
  for (size_t r = 0; r < rows.size(); ++r) {
    text += "|";
    for (size_t i = 0; i < widths.size(); ++i)
      text +=
          i == 0 ? fmt::format(" {:<{}} |", rows[r][i], widths[i]) : fmt::format(" {:>{}} |", rows[r][i], widths[i]);
    text += "\n";
    if (r > 0) continue;
    text += "|";
    for (size_t i = 0; i < widths.size(); ++i) text += std::string(widths[i] + 1, '-') + (i == 0 ? "-|" : ":|");
    text += "\n";
  }
  return text;
}

std::string summary(const std::vector<EvalResult>& results) {
  std::vector<std::vector<std::string>> rows = {{"model"}};
  std::string metrics;
  for (const EvalTaskResult& task : results[0].tasks) {
    rows[0].push_back(task.name);
    metrics += (metrics.empty() ? "" : ", ") + task.name + " " + main_metric(task).name;
  }
  rows[0].insert(rows[0].end(), {"mean", "time", "tokens", "tokens/s"});
  for (const EvalResult& result : results) {
    auto& row = rows.emplace_back(std::vector<std::string>{result.model});
    double sum = 0;
    for (const EvalTaskResult& task : result.tasks) {
      const EvalMetricValue& metric = main_metric(task);
      row.push_back(metric.error ? fmt::format("{:.2f} ± {:.2f}", 100 * metric.value, 100 * *metric.error)
                                 : fmt::format("{:.4f}", metric.value));
      sum += 100 * metric.value;
    }
    const double seconds = computing_seconds(result);
    const auto tokens = result.tokens_computed() > 0 ? result.tokens_computed() : result.tokens_read();
    row.insert(row.end(), {fmt::format("{:.2f}", sum / static_cast<double>(result.tasks.size())), time_text(seconds),
                           std::to_string(tokens), fmt::format("{:.0f}", rate(static_cast<double>(tokens), seconds))});
  }
  return markdown(rows) + "\nper cent: " + metrics + "\n";
}

std::string differences(const EvalResult& first, const EvalResult& other) {
  std::vector<std::vector<std::string>> rows = {
      {"task", "metric", "difference", "only first", "only second", "p", "mean |dLL|"}};
  for (const EvalDifference& d : compare_evals(first, other)) {
    rows.push_back({d.task, d.filter == "none" ? d.metric : d.metric + "," + d.filter,
                    fmt::format("{:+.2f}", 100 * d.difference), std::to_string(d.only_first),
                    std::to_string(d.only_second), fmt::format("{:.4f}", d.p), fmt::format("{:.4f}", d.mean_delta)});
  }
  return fmt::format("{} against {}\n\n{}", other.model, first.model, markdown(rows));
}

nlohmann::ordered_json comparison_json(const EvalResult& first, const EvalResult& other) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const EvalDifference& d : compare_evals(first, other)) {
    list.push_back({{"task", d.task},
                    {"metric", d.metric + "," + d.filter},
                    {"difference", d.difference},
                    {"only_first", d.only_first},
                    {"only_second", d.only_second},
                    {"mcnemar_p", d.p},
                    {"mean_delta_log_likelihood", d.mean_delta}});
  }
  return {{"first", first.model}, {"second", other.model}, {"differences", list}};
}

// ---- The command

// "FOLDER", "TASK=FILE" or "TASK:shots=FILE".
void Eval::read_flags() {
  for (const std::string& each : data) {
    const size_t equals = each.find('=');
    if (equals == std::string::npos || std::filesystem::exists(each)) {
      if (!options.data.empty())
        throw Error(ErrorKind::kUsage, "one folder of data at a time", "--data",
                    "--data TASK=FILE names further files");
      options.data = each;
    } else {
      options.files[each.substr(0, equals)] = each.substr(equals + 1);
    }
  }
  if (!options.data.empty() && !std::filesystem::is_directory(options.data)) {
    throw Error(ErrorKind::kNotFound, "there is no such folder", options.data,
                "--data names a folder, or a task's file as TASK=FILE");
  }
  options.style = style == "mlx" ? EvalStyle::kMlx : style == "llama.cpp" ? EvalStyle::kLlamaCpp : EvalStyle::kLmEval;
  if (chat && no_chat) throw Error(ErrorKind::kUsage, "with the chat template or without?", "--no-chat-template");
  if (multiturn && one_turn) throw Error(ErrorKind::kUsage, "several turns or one?", "--fewshot-as-one-turn");
  if (chat || no_chat) options.chat = chat;
  if (multiturn || one_turn) options.multiturn = multiturn;
  if (shots >= 0) options.shots = shots;
  options.tasks = parts_of(tasks);
  if (seed >= 0) options.seed = static_cast<uint64_t>(seed);
  options.resume = !no_resume;
}

// "MODEL" or "MODEL+ADAPTER": with one more adapter than --lora has. What is not there is told before anything is
// computed.
Eval::Scored Eval::find(const std::string& name) const {
  Scored model{name.empty() ? std::string(kDefaultModel) : name, name, load};
  std::error_code ignored;
  if (const size_t plus = name.find('+'); plus != std::string::npos && !std::filesystem::exists(name, ignored)) {
    model.path = name.substr(0, plus);
    const AdapterFile adapter = parse_adapter(name.substr(plus + 1));
    if (adapter.path.empty())
      throw Error(ErrorKind::kUsage, "no adapter is named behind the +", name, "MODEL+ADAPTER, or MODEL alone");
    model.load.adapters.push_back(adapter);
  }
  model.path = model_path(model.path);
  inspect_model(model.path);
  for (const AdapterFile& adapter : model.load.adapters)
    if (!std::filesystem::exists(adapter.path, ignored))
      throw Error(ErrorKind::kNotFound, "there is no such adapter", adapter.path);
  for (const AdapterFile& adapter : load.adapters) {
    model.name += "+" + adapter.path;
    if (adapter.scale != 1) model.name += fmt::format("={:g}", adapter.scale);
  }
  return model;
}

EvalResult Eval::score(const Scored& model) const {
  EvalOptions wanted = options;
  wanted.model_name = model.name;
  Display display(quiet);
  EvalResult result =
      evaluate(load_model(model.path, model.load), wanted, [&](const EvalProgress& now) { return display(now); });
  display.bar().wipe();
  return result;
}

int Eval::operator()() {
  read_flags();
  const SignalGuard guard;
  if (models.size() == 1 && models[0] == "ls") return list_tasks(options, format == "json");
  std::vector<EvalResult> results;
  std::vector<Scored> all_scored;
  for (const std::string& name : models.empty() ? std::vector<std::string>{""} : models)
    all_scored.push_back(find(name));
  for (const Scored& model : all_scored) {
    results.push_back(score(model));
    const EvalResult& result = results.back();
    if (format == "table") {
      write_out((results.size() > 1 ? "\n" : "") + (all_scored.size() > 1 ? result.model + "\n" : "") +
                eval_table(result) + remarks(result));
    } else if (format == "mlx") {
      write_out("Results:\n");
      const auto shown = nlohmann::ordered_json::parse(eval_json(result, options, true));
      for (const auto& [task, values] : shown.items()) write_out(values.dump(4) + "\n");
    }
    if (!quiet) {
      write_err(cost_text(result) + "\n", Style::kDim);
      if (result.passed_over > 0)
        note(fmt::format("{} of {}/items.jsonl broken or not of what is asked, and passed over",
                         result.passed_over == 1 ? "1 line is" : fmt::format("{} lines are", result.passed_over),
                         options.out));
      for (const std::string& file : result.files) write_err("  " + file + "\n", Style::kDim);
    }
    flush_out();
  }
  if (format == "json") {
    nlohmann::ordered_json all = nlohmann::ordered_json::array(), compared = nlohmann::ordered_json::array();
    for (const EvalResult& result : results) {
      all.push_back(nlohmann::ordered_json::parse(eval_json(result, options)));
      if (&result != &results[0]) compared.push_back(comparison_json(results[0], result));
    }
    if (results.size() == 1) write_json(all[0], 2);
    else write_json({{"models", all}, {"compared", compared}}, 2);
  } else if (results.size() > 1) {
    write_out("\n" + summary(results));
    for (size_t i = 1; i < results.size(); ++i) write_out("\n" + differences(results[0], results[i]));
  }
  return kDone;
}

}  // namespace

Action add_eval(CLI::App& app) {
  auto eval = std::make_shared<Eval>();
  EvalOptions& o = eval->options;
  add_texts(app, "MODEL", eval->models, "MODEL",
            "Models by name or file, MODEL+ADAPTER with an adapter; several are compared with the first. `ls` lists "
            "the tasks")
      ->expected(0, CLI::detail::expected_max_vector_size)
      ->allow_extra_args();
  const std::string what = "What is asked";
  add_text(app, "--tasks", eval->tasks, "LIST", "Tasks and groups, with commas between")->group(what);
  add_texts(app, "--data", eval->data, "DIR",
            "Folder with the tasks' files; TASK=FILE names one, TASK:shots=FILE that of few-shot examples (repeatable)")
      ->group(what);
  add_integer(app, "--limit", o.limit, 0, "First documents of each task; 0 = all")->group(what);
  add_integer(app, "--fewshot", eval->shots, -1, "Examples before each question; -1 = as the task has it")->group(what);
  add_integer(app, "--seed", eval->seed, -1, "Of the choice of examples; -1 = 1234, in the mlx style 123")->group(what);

  const std::string how = "How it is asked";
  add_choice(app, "--style", eval->style, {"lm-eval", "mlx", "llama.cpp"},
             "Whose figures: lm-evaluation-harness, mlx_lm.evaluate or llama-perplexity")
      ->group(how);
  add_flag(app, "--apply-chat-template", eval->chat, "Through the model's chat template")->group(how);
  add_flag(app, "--no-chat-template", eval->no_chat, "As plain text, in the mlx style too")->group(how);
  add_text(app, "--system-instruction", o.system, "TEXT", "Before everything")->group(how);
  add_flag(app, "--fewshot-as-multiturn", eval->multiturn, "Examples are turns of the chat, as in the lm-eval style")
      ->group(how);
  add_flag(app, "--fewshot-as-one-turn", eval->one_turn, "One message holds them all, as in the mlx style")->group(how);
  add_integer(app, "--max-tokens", o.max_tokens, 0, "Of a written answer; 0 = as the task has it")->group(how);
  add_integer(app, "--streams", o.streams, 0, "Answers written at a time; 0 = what suits the machine")->group(how);

  add_text(app, "-o,--out", o.out, "DIR", "Folder for results, samples and the log that a run resumes from")
      ->group("Output");
  add_flag(app, "--no-resume", eval->no_resume, "Compute what the log has, too")->group("Output");
  add_choice(app, "--format", eval->format, {"table", "json", "mlx"}, "The harness's table or JSON, or mlx_lm's JSON")
      ->group("Output");
  add_quiet(app, eval->quiet);
  add_experts(app, eval->load);
  add_adapters(app, eval->load);
  add_context(app, o.session);
  add_threads(app, eval->load);
  add_executor(app, o.session);
  app.footer(
      "  fieldprint eval ls --data eval-data\n"
      "  fieldprint eval smollm2-135m --data eval-data --tasks arc_easy,piqa --limit 200 --out results\n"
      "  fieldprint eval base.gguf base.gguf+adapter.gguf --data eval-data --style mlx");
  return [eval] { return (*eval)(); };
}

}  // namespace fieldprint::cli
