// Before and after, from what `eval --out` wrote in the form of lm-evaluation-harness.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <optional>

#include "base/json.h"
#include "distil/card_parts.h"
#include "distil/markdown.h"
#include "eval/scores.h"
#include "fieldprint/error.h"

namespace fieldprint::distil {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct Metric {
  double value = 0;
  std::optional<double> error;
};

struct Results {
  std::string path, model, hash;
  // task -> "metric,filter" -> value, in the file's order
  std::vector<std::pair<std::string, std::vector<std::pair<std::string, Metric>>>> tasks;
  std::map<std::string, int64_t> documents;
  std::string style;                   // of requests; "" = the file does not say
  bool chat = false;                   // a chat template was applied
  std::map<std::string, int> shots;    // of a task
  std::map<std::string, bool> higher;  // "task metric"

  const Metric* find(const std::string& task, const std::string& metric) const {
    for (const auto& [name, metrics] : tasks)
      for (const auto& [key, value] : metrics)
        if (name == task && key == metric) return &value;
    return nullptr;
  }
};

// The newest results of one model; names end in the time.
std::string results_file(const std::string& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return path;
  std::vector<fs::path> found;
  for (const auto& entry : fs::recursive_directory_iterator(path, error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("results_") && name.ends_with(".json")) found.push_back(entry.path());
  }
  if (found.empty())
    throw Error(ErrorKind::kNotFound, "no results_*.json is in this folder", path,
                "`fieldprint eval --out` writes one");
  for (const fs::path& file : found)
    if (file.parent_path() != found[0].parent_path())
      throw Error(ErrorKind::kUsage, "results of several models are in this folder", path,
                  fmt::format("name that of one, such as {}", found[0].parent_path().string()));
  return std::max_element(found.begin(), found.end())->string();
}

Results read_results(const std::string& wanted) {
  Results r;
  r.path = results_file(wanted);
  const std::string text = read_whole(r.path);
  r.hash = file_sha256(r.path);
  JsonRules rules;
  rules.python = true;  // lm-eval writes NaN
  const Json json = parse_ordered_json(text, r.path, rules);
  const auto refuse = [&] { throw Error(ErrorKind::kBadInput, "these are no results of an evaluation", r.path); };
  if (!json.is_object() || !json.contains("results") || !json["results"].is_object()) refuse();
  try {
    r.model = json.value("model_name", "");
    if (const auto own = json.find("fieldprint"); own != json.end()) r.style = own->value("style", "");
    r.chat = json.contains("chat_template_sha") && !json["chat_template_sha"].is_null();
    if (const auto shots = json.find("n-shot"); shots != json.end())
      for (const auto& [task, count] : shots->items())
        if ((r.shots[task] = count.get<int>()) < 0) refuse();
    for (const auto& [task, values] : json.at("results").items()) {
      if (!values.is_object()) refuse();
      auto& metrics = r.tasks.emplace_back(task, std::vector<std::pair<std::string, Metric>>()).second;
      for (const auto& [key, value] : values.items()) {
        const size_t comma = key.find(',');
        const std::string name = key.substr(0, comma);
        if (comma == std::string::npos || name.ends_with("_stderr") || !value.is_number()) continue;
        Metric metric{value.get<double>(), {}};
        const auto error = values.find(name + "_stderr" + key.substr(comma));
        if (error != values.end() && error->is_number()) metric.error = error->get<double>();
        metrics.emplace_back(key, metric);
      }
      if (json.contains("n-samples") && json["n-samples"].contains(task))
        if ((r.documents[task] = json["n-samples"][task].value("effective", int64_t{0})) < 0) refuse();
      if (json.contains("higher_is_better") && json["higher_is_better"].contains(task))
        for (const auto& [name, better] : json["higher_is_better"][task].items())
          if (better.is_boolean()) r.higher[task + ' ' + name] = better.get<bool>();
    }
  } catch (const Json::exception&) {
    refuse();
  }
  return r;
}

// doc_id -> right or wrong, of samples_TASK_TIME.jsonl beside the results; nullopt where there is none, or where scores
// are not just that. Documents are told apart by their hash where there is one, so that only equal ones are paired.
using Outcomes = std::map<std::pair<int64_t, std::string>, bool>;
std::optional<Outcomes> outcomes_of(const Results& r, const std::string& task, const std::string& metric) {
  const fs::path file(r.path);
  const std::string name = file.stem().string();
  if (!name.starts_with("results_")) return std::nullopt;
  const fs::path samples = file.parent_path() / fmt::format("samples_{}_{}.jsonl", task, name.substr(8));
  std::error_code error;
  if (!fs::exists(samples, error)) return std::nullopt;
  const std::string text = read_whole(samples.string());
  const size_t comma = metric.find(',');
  const std::string score = metric.substr(0, comma), filter = metric.substr(comma + 1);
  JsonRules rules;
  rules.python = true;
  Outcomes outcomes;
  int64_t number = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = std::string_view(text).substr(at, end - at);
    at = end + 1, ++number;
    if (line.empty()) continue;
    const std::string where = fmt::format("{}:{}", samples.string(), number);
    const Json sample = parse_ordered_json(line, where, rules);
    if (!sample.is_object()) throw Error(ErrorKind::kBadInput, "this is no sample of an evaluation", where);
    const auto own = sample.find("filter");
    if (own != sample.end() && own->is_string() && own->get<std::string>() != filter) continue;
    const auto id = sample.find("doc_id"), value = sample.find(score), hash = sample.find("doc_hash");
    if (id == sample.end() || !id->is_number_integer() || value == sample.end()) return std::nullopt;
    double right = 0;
    if (value->is_number()) right = value->get<double>();
    else if (value->is_boolean()) right = value->get<bool>() ? 1 : 0;
    else return std::nullopt;
    if (right != 0 && right != 1) return std::nullopt;
    const bool hashed = hash != sample.end() && hash->is_string();
    outcomes[{id->get<int64_t>(), hashed ? hash->get<std::string>() : ""}] = right == 1;
  }
  return outcomes;
}

// Scores of other requests say nothing about the models.
void require_alike(const Results& a, const Results& b) {
  const auto refuse = [&](const std::string& what) {
    throw Error(ErrorKind::kUsage, "before and after were measured in different ways: " + what, b.path,
                "evaluate both with the same flags");
  };
  if (!a.style.empty() && !b.style.empty() && a.style != b.style)
    refuse(fmt::format("in the styles {} and {}", a.style, b.style));
  if (a.chat != b.chat) refuse(fmt::format("{} with a chat template", a.chat ? "only before" : "only after"));
  for (const auto& [task, count] : a.shots)
    if (const auto other = b.shots.find(task); other != b.shots.end() && other->second != count)
      refuse(fmt::format("{} with {} and {} examples", task, count, other->second));
}

std::string value_text(const Metric& metric) {
  return metric.error ? fmt::format("{:.4f} ± {:.4f}", metric.value, *metric.error)
                      : fmt::format("{:.4f}", metric.value);
}

std::string results_line(const char* what, const Results& r) {
  return fmt::format("- {}: {}, results SHA-256 `{}`\n", what, r.model.empty() ? "a model" : code_span(r.model),
                     r.hash);
}

std::string shown_metric(const std::string& metric) {
  const size_t comma = metric.find(',');
  return metric.substr(comma) == ",none" ? metric.substr(0, comma) : metric;
}

}  // namespace

std::string results_part(const std::string& before, const std::string& after) {
  if (before.empty() || after.empty()) {
    const Results one = read_results(before.empty() ? after : before);
    std::string text = results_line(before.empty() ? "after" : "before", one) +
                       "\n| task | documents | metric | value |\n|---|---:|---|---:|\n";
    for (const auto& [task, metrics] : one.tasks)
      for (const auto& [key, metric] : metrics) {
        const auto documents = one.documents.find(task);
        text += fmt::format("| {} | {} | {} | {} |\n", plain_text(task),
                            documents == one.documents.end() ? "" : std::to_string(documents->second),
                            plain_text(shown_metric(key)), value_text(metric));
      }
    return text;
  }
  const Results a = read_results(before), b = read_results(after);
  require_alike(a, b);
  std::string text =
      results_line("before", a) + results_line("after", b) +
      "\n| task | documents | metric | before | after | difference | only after right | only before right | "
      "p |\n|---|---:|---|---:|---:|---:|---:|---:|---:|\n";
  int tests = 0;
  std::vector<std::string> alone;
  for (const auto& [task, metrics] : a.tasks) {
    for (const auto& [key, was] : metrics) {
      const Metric* is = b.find(task, key);
      if (is == nullptr) {
        alone.push_back(task + " " + shown_metric(key));
        continue;
      }
      std::string pairs = "| | | |";
      int64_t documents = a.documents.contains(task) ? a.documents.at(task) : 0;
      const bool differ = b.documents.contains(task) && documents != b.documents.at(task);
      const auto first = outcomes_of(a, task, key), second = outcomes_of(b, task, key);
      if (first && second) {
        int gained = 0, lost = 0;
        int64_t paired = 0;
        for (const auto& [id, right] : *first) {
          const auto found = second->find(id);
          if (found == second->end()) continue;
          ++paired;
          gained += !right && found->second, lost += right && !found->second;
        }
        if (paired > 0) {
          pairs = fmt::format("| {} | {} | {:.3g} |", gained, lost, mcnemar_p(gained, lost));
          documents = paired;
          ++tests;
        }
      }
      const bool better_is_higher = !a.higher.contains(task + ' ' + key.substr(0, key.find(','))) ||
                                    a.higher.at(task + ' ' + key.substr(0, key.find(',')));
      text += fmt::format("| {} | {}{} | {}{} | {} | {} | {:+.4f} {}\n", plain_text(task),
                          documents > 0 ? std::to_string(documents) : "", differ ? " (not the same)" : "",
                          plain_text(shown_metric(key)), better_is_higher ? "" : " (lower is better)", value_text(was),
                          value_text(*is), is->value - was.value, pairs);
    }
  }
  for (const auto& [task, metrics] : b.tasks)
    for (const auto& [key, metric] : metrics)
      if (a.find(task, key) == nullptr) alone.push_back(task + " " + shown_metric(key));
  text += "\n± is the standard error of a score over documents.";
  if (tests > 0)
    text += fmt::format(
        " p is that of the exact McNemar test over the documents that both answered, two-sided, of {} {} and not "
        "corrected "
        "for their number.",
        tests, tests == 1 ? "test" : "tests");
  text += '\n';
  if (!alone.empty()) {
    text += "\nMeasured on one side only:";
    for (const std::string& name : alone) text += ' ' + plain_text(name) + (name == alone.back() ? ".\n" : ",");
  }
  return text;
}

}  // namespace fieldprint::distil
