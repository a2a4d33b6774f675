#include "eval/report.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>

#include "base/sha256.h"
#include "fieldprint/atomic_file.h"
#include "fieldprint/error.h"
#include "jinja/unicode.h"

namespace fieldprint {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

std::string hash_of(std::string_view text) { return sha256_hex(std::as_bytes(std::span(text))); }

std::string dump(const Json& value, int indent = -1) {
  return value.dump(indent, ' ', false, Json::error_handler_t::replace);
}

// Python's json.dumps of one line, which puts spaces behind commas and colons.
std::string python_line(const Json& value) {
  if (value.is_object() || value.is_array()) {
    std::string text;
    for (auto it = value.begin(); it != value.end(); ++it) {
      text += text.empty() ? "" : ", ";
      if (value.is_object()) text += dump(it.key()) + ": ";
      text += python_line(*it);
    }
    return value.is_object() ? "{" + text + "}" : "[" + text + "]";
  }
  return dump(value);
}

std::string python_bool(bool value) { return value ? "True" : "False"; }

// ---- The table

// A number with the digits behind the point that its column needs.
size_t decimals_of(const std::string& number) {
  const size_t point = number.find('.'), last = number.find_last_not_of('0');
  return point == std::string::npos || last <= point ? 0 : last - point;
}

struct Column {
  std::string name;
  bool right = false;  // numbers
  std::vector<std::string> cells;
};

std::string padded(const std::string& text, size_t width, bool right) {
  const size_t size = jinja::count_code_points(text);
  const std::string space(width > size ? width - size : 0, ' ');
  return right ? space + text : text + space;
}

std::string table_of(std::vector<Column> columns) {
  std::string head = "|", rule = "|", body;
  std::vector<size_t> widths;
  for (Column& column : columns) {
    if (column.right) {
      size_t decimals = 0;
      for (const std::string& cell : column.cells) decimals = std::max(decimals, decimals_of(cell));
      for (std::string& cell : column.cells)
        if (const size_t point = cell.find('.'); point != std::string::npos)
          cell.resize(decimals == 0 ? point : point + 1 + decimals, '0');
    }
    size_t width = std::max<size_t>(3, column.name.size());
    for (const std::string& cell : column.cells) width = std::max(width, jinja::count_code_points(cell));
    widths.push_back(width);
    const size_t before = (width - column.name.size()) / 2;
    head += padded(std::string(before, ' ') + column.name, width, false) + "|";
    rule += std::string(width - (column.right ? 1 : 0), '-') + (column.right ? ":|" : "|");
  }
  for (size_t row = 0; row < columns[0].cells.size(); ++row) {
    body += "|";
    for (size_t i = 0; i < columns.size(); ++i)
      body += padded(columns[i].cells[row], widths[i], columns[i].right) + "|";
    body += "\n";
  }
  return head + "\n" + rule + "\n" + body;
}

struct TableRow {
  std::string name;
  double version;
  int shots;
  std::vector<EvalMetricValue> metrics;
  bool has_version = true;
};

std::string metrics_table(const std::string& title, const std::vector<TableRow>& rows) {
  std::vector<Column> columns = {{title, false, {}},   {"Version", true, {}}, {"Filter", false, {}},
                                 {"n-shot", true, {}}, {"Metric", false, {}}, {"", false, {}},
                                 {"Value", true, {}},  {"", false, {}},       {"Stderr", true, {}}};
  for (const TableRow& row : rows) {
    auto metrics = row.metrics;
    std::sort(metrics.begin(), metrics.end(),
              [](const auto& a, const auto& b) { return a.name + "," + a.filter < b.name + "," + b.filter; });
    for (const EvalMetricValue& metric : metrics) {
      const bool first = &metric == &metrics.front();
      if (!metric.error) columns[8].right = false;
      const std::string cells[] = {first ? row.name : "",
                                   first ? fmt::format("{:.4f}", row.version) : "",
                                   metric.filter,
                                   std::to_string(row.shots),
                                   metric.name,
                                   metric.higher_is_better ? "↑" : "↓",
                                   fmt::format("{:.4f}", metric.value),
                                   "±",
                                   metric.error ? fmt::format("{:.4f}", *metric.error) : "   N/A"};
      for (size_t i = 0; i < columns.size(); ++i) columns[i].cells.push_back(cells[i]);
    }
  }
  return table_of(std::move(columns));
}

// ---- Results

Json metrics_json(const std::vector<EvalMetricValue>& metrics) {
  Json object = Json::object();
  for (const EvalMetricValue& metric : metrics) {
    // JSON has no infinity.
    object[metric.name + "," + metric.filter] =
        std::isfinite(metric.value) ? Json(metric.value) : Json(fmt::format("{}", metric.value));
    object[metric.name + "_stderr," + metric.filter] = metric.error ? Json(*metric.error) : Json("N/A");
  }
  return object;
}

Json task_json(const EvalTaskResult& task) {
  Json object = {{"name", task.name}, {"alias", task.alias}, {"sample_len", task.documents}};
  object.update(metrics_json(task.metrics));
  return object;
}

Json config_json(const EvalTask& task, const EvalTaskResult& result, const EvalOptions& options) {
  const size_t space = std::min(task.data.dataset.find(' '), task.data.dataset.size());
  Json metrics = Json::array();
  for (const EvalMetric& metric : task.metrics)
    metrics.push_back({{"metric", metric.name}, {"higher_is_better", metric.higher_is_better}});
  Json object = {{"task", task.name}, {"dataset_path", task.data.dataset.substr(0, space)}};
  if (space < task.data.dataset.size()) object["dataset_name"] = task.data.dataset.substr(space + 1);
  object[task.data.split + "_split"] = task.data.split;
  object.update({{"description", task.description},
                 {"target_delimiter", result.kind == "multiple_choice" ? task.delimiter : " "},
                 {"fewshot_delimiter", task.shots_delimiter},
                 {"num_fewshot", result.shots},
                 {"metric_list", metrics},
                 {"output_type", result.kind}});
  if (task.kind == EvalKind::kGenerate) {
    object["generation_kwargs"] = {
        {"until", task.generation.until},
        {"do_sample", false},
        {"temperature", 0.0},
        {"max_gen_toks", options.max_tokens > 0 ? options.max_tokens : task.generation.max_tokens}};
  }
  object["metadata"] = {{"version", task.version}};
  return object;
}

std::string sanitized(const std::string& name) {
  std::string out;
  bool bad = false;
  for (const char c : name) {
    const bool now = std::string_view("\"<>:/|\\?*[]").find(c) != std::string_view::npos;
    if (now && !bad) out += "__";
    if (!now) out += c;
    bad = now;
  }
  return out;
}

Json optional_text(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

}  // namespace

std::string eval_table(const EvalResult& result) {
  std::vector<TableRow> rows, groups;
  for (const EvalTaskResult& task : result.tasks) {
    const auto group = std::find_if(result.groups.begin(), result.groups.end(),
                                    [&](const EvalGroupResult& each) { return each.name == task.group; });
    if (group != result.groups.end() && group->tasks[0] == task.name) {
      rows.push_back({group->name, task.version, task.shots, group->metrics});
      groups.push_back(rows.back());
    }
    rows.push_back({(group != result.groups.end() ? " - " : "") + task.alias, task.version, task.shots, task.metrics});
  }
  std::string text = metrics_table("Tasks", rows);
  if (!groups.empty()) text += "\n" + metrics_table("Groups", groups);
  return text;
}

std::string eval_json(const EvalResult& result, const EvalOptions& options, bool results_only) {
  Json results = Json::object(), groups = Json::object(), subtasks = Json::object(), configs = Json::object(),
       versions = Json::object(), shots = Json::object(), better = Json::object(), samples = Json::object(),
       hashes = Json::object(), own = Json::object();
  for (const EvalGroupResult& group : result.groups) {
    subtasks[group.name] = group.tasks;
    results[group.name] = {{"name", group.name}, {"alias", group.name}};
    results[group.name].update(metrics_json(group.metrics));
    groups[group.name] = results[group.name];
  }
  for (const EvalTaskResult& task : result.tasks) {
    results[task.name] = task_json(task);
    if (const auto known = find_eval_tasks(task.name); known.size() == 1)
      configs[task.name] = config_json(*known[0], task, options);
    versions[task.name] = task.version;
    shots[task.name] = task.shots;
    for (const EvalMetricValue& metric : task.metrics) better[task.name][metric.name] = metric.higher_is_better;
    samples[task.name] = {{"original", task.documents_in_file}, {"effective", task.documents}};
    hashes[task.name] = task.hash;
    Json files = Json::array();
    for (const auto& [path, hash] : task.files) files.push_back({{"path", path}, {"sha256", hash}});
    own[task.name] = {{"seconds", task.seconds},
                      {"resumed", task.resumed},
                      {"tokens_computed", task.tokens_computed},
                      {"tokens_read", task.tokens_read},
                      {"shortened_requests", task.shortened},
                      {"data", files}};
    if (task.cut_share) {
      own[task.name].update({{"cut_share", *task.cut_share},
                             {"empty_share", *task.empty_share},
                             {"unclosed_share", *task.unclosed_share},
                             {"answer_tokens", task.answer_tokens}});
    }
  }
  if (results_only) return dump(results, 4);
  const auto now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  Json all = {{"results", results}};
  if (!groups.empty()) all["groups"] = groups;
  all.update({{"group_subtasks", subtasks},
              {"configs", configs},
              {"versions", versions},
              {"n-shot", shots},
              {"higher_is_better", better},
              {"n-samples", samples},
              {"config",
               {{"model", "fieldprint"},
                {"model_args", result.model},
                {"batch_size", nullptr},
                {"batch_sizes", Json::array()},
                {"device", "cpu"},
                {"use_cache", nullptr},
                {"limit", options.limit > 0 ? Json(options.limit) : Json(nullptr)},
                {"bootstrap_iters", 0},
                {"gen_kwargs", nullptr},
                {"random_seed", 0},
                {"numpy_seed", 1234},
                {"torch_seed", 1234},
                {"fewshot_seed", options.shots_seed()}}},
              {"git_hash", nullptr},
              {"date", now - result.seconds},
              {"lm_eval_version", "N/A"},
              {"task_hashes", hashes},
              {"model_source", "fieldprint"},
              {"model_name", result.model},
              {"model_name_sanitized", sanitized(result.model)},
              {"system_instruction", optional_text(options.system)},
              {"system_instruction_sha", options.system.empty() ? Json(nullptr) : Json(hash_of(options.system))},
              {"fewshot_as_multiturn", result.multiturn},
              {"chat_template", optional_text(result.chat_template)},
              {"chat_template_sha", result.chat ? Json(hash_of(result.chat_template)) : Json(nullptr)},
              {"total_evaluation_time_seconds", fmt::format("{}", result.seconds)},
              {"fieldprint",
               {{"definitions", "lm-evaluation-harness 0.4.13"},
                {"style", eval_style_name(result.style)},
                {"fingerprint", result.fingerprint},
                {"vocabulary_sha256", result.vocabulary_hash},
                {"log_lines_passed_over", result.passed_over},
                {"tasks", own}}}});
  return dump(all, 2);
}

EvalSamples make_samples(const EvalTask& task, const std::vector<EvalWork>& works) {
  EvalSamples samples{task.name, {}, {}};
  std::string hashes;
  for (const EvalWork& work : works) {
    Json arguments = Json::object(), all = Json::array(), filtered = Json::array();
    if (task.kind == EvalKind::kGenerate) {
      arguments["gen_args_0"] = {{"arg_0", work.prompt.text},
                                 {"arg_1",
                                  {{"until", work.prompt.until},
                                   {"do_sample", false},
                                   {"temperature", 0.0},
                                   {"max_gen_toks", work.prompt.max_tokens}}}};
      all.push_back(Json::array({work.outcome.answer.text}));
    }
    if (task.kind == EvalKind::kRolling) {
      double sum = 0;
      for (const RequestScore& score : work.outcome.scores) sum += score.log_likelihood;
      arguments["gen_args_0"] = {{"arg_0", work.pairs[0].continuation}};
      all.push_back(Json::array({fmt::format("{}", sum)}));
      filtered.push_back(fmt::format("{}", sum));
    }
    for (size_t i = 0; task.kind == EvalKind::kMultipleChoice && i < work.pairs.size(); ++i) {
      const RequestScore& score = work.outcome.scores[i];
      arguments[fmt::format("gen_args_{}", i)] = {{"arg_0", work.pairs[i].context},
                                                  {"arg_1", work.pairs[i].continuation}};
      const Json response = Json::array({fmt::format("{}", score.log_likelihood), python_bool(score.greedy)});
      all.push_back(Json::array({response}));
      filtered.push_back(response);
    }
    const std::string prompt = task.kind == EvalKind::kGenerate  ? work.prompt.text
                               : task.kind == EvalKind::kRolling ? work.pairs[0].continuation
                                                                 : work.pairs[0].context;
    const std::string document = hash_of(dump(*work.document, 2)), asked = hash_of(prompt),
                      target = hash_of(work.target);
    hashes += document + asked + target;
    std::vector<std::string> filters;
    for (const EvalScore& score : work.scores)
      if (std::find(filters.begin(), filters.end(), score.filter) == filters.end()) filters.push_back(score.filter);
    for (const std::string& filter : filters) {
      Json names = Json::array(), values = Json::object(), read = Json::array();
      for (const EvalScore& score : work.scores) {
        if (score.filter != filter) continue;
        names.push_back(score.metric);
        values[score.metric] = task.kind == EvalKind::kRolling ? Json::array({score.value, score.weight})
                                                               : Json(score.value / score.weight);
        if (read.empty()) read.push_back(score.read);
      }
      Json sample = {{"doc_id", work.id},     {"doc", *work.document},
                     {"target", work.target}, {"arguments", arguments},
                     {"resps", all},          {"filtered_resps", task.kind == EvalKind::kGenerate ? read : filtered},
                     {"filter", filter},      {"metrics", names},
                     {"doc_hash", document},  {"prompt_hash", asked},
                     {"target_hash", target}};
      sample.update(values);
      if (task.kind == EvalKind::kGenerate) {
        const EvalAnswer& answer = work.outcome.answer;
        sample["fieldprint"] = {{"raw", answer.raw},
                                {"cut", answer.cut},
                                {"unclosed", answer.unclosed},
                                {"prompt_tokens", answer.prompt_tokens},
                                {"tokens", answer.tokens}};
      }
      samples.lines += python_line(sample) + "\n";
    }
  }
  samples.hash = hash_of(hashes);
  return samples;
}

std::vector<std::string> write_report(const EvalResult& result, const EvalOptions& options,
                                      const std::vector<EvalSamples>& samples) {
  const fs::path folder = fs::path(options.out) / sanitized(result.model);
  std::error_code failed;
  fs::create_directories(folder, failed);
  if (failed) throw Error(ErrorKind::kIo, "the folder cannot be made: " + failed.message(), folder.string());
  const auto now = std::chrono::system_clock::now();
  const auto micro = std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch()).count() % 1'000'000;
  const std::string time =
      fmt::format("{:%Y-%m-%dT%H-%M-%S}.{:06}", fmt::localtime(std::chrono::system_clock::to_time_t(now)), micro);
  std::vector<std::string> written;
  const auto write = [&](const std::string& name, std::string_view text) {
    const std::string path = (folder / name).string();
    AtomicFile file(path);
    file.write(text);
    file.commit();
    written.push_back(path);
  };
  for (const EvalSamples& task : samples) write(fmt::format("samples_{}_{}.jsonl", task.task, time), task.lines);
  write(fmt::format("results_{}.json", time), eval_json(result, options));
  return written;
}

}  // namespace fieldprint
