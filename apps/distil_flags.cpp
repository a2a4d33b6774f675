#include "distil_flags.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <nlohmann/json.hpp>

#include "fieldprint/error.h"
#include "fieldprint/json.h"
#include "files.h"
#include "options.h"
#include "sampling_flags.h"

namespace fieldprint::cli {

namespace {

constexpr float kMost = 1e15f;
constexpr float kLeastSeconds = 0.001f;  // of a timeout: no time at all would fail every answer

void add_seconds(CLI::App& app, const std::string& name, double& target, const std::string& about, const char* group,
                 float least = 0) {
  add_value(app, name, "SECONDS", about,
            [&target, name, least](const std::string& text) {
              target = static_cast<double>(parse_number(text, least, kMost, name));
            })
      ->default_str(fmt::format("{}", target))
      ->group(group);
}

void add_money(CLI::App& app, const std::string& name, double& target, const std::string& about) {
  add_value(app, name, "MONEY", about, [&target, name](const std::string& text) {
    target = std::strtod(fmt::format("{}", parse_number(text, 0, kMost, name)).c_str(), nullptr);
  })->group("Budget");
}

// A float32 as the decimal that was typed.
nlohmann::json decimal(float value) { return nlohmann::json::parse(fmt::format("{}", value)); }

// What the flags were set to, by the names that servers have for it; what was left alone stays the teacher's own.
nlohmann::json sampling_json(const SamplingOptions& o, const std::vector<CLI::Option*>& flags) {
  nlohmann::json bias = nlohmann::json::object();
  for (const auto& [token, value] : o.logit_bias)
    bias[std::to_string(token)] = std::isinf(value) ? nlohmann::json(-100) : decimal(value);
  const std::pair<const char*, std::pair<const char*, nlohmann::json>> rows[] = {
      {"temp", {"temperature", decimal(o.temperature)}},
      {"top-k", {"top_k", o.top_k}},
      {"top-p", {"top_p", decimal(o.top_p)}},
      {"min-p", {"min_p", decimal(o.min_p)}},
      {"repetition-penalty", {"repetition_penalty", decimal(o.repetition_penalty)}},
      {"penalty-window", {"repeat_last_n", o.penalty_window}},
      {"presence-penalty", {"presence_penalty", decimal(o.presence_penalty)}},
      {"frequency-penalty", {"frequency_penalty", decimal(o.frequency_penalty)}},
      {"logit-bias", {"logit_bias", bias}},
      {"stop", {"stop", o.stop}},
      {"no-loop-check", {"loop_check", o.loop_check}},
      {"typical-p", {"typical_p", decimal(o.typical_p)}},
      {"top-n-sigma", {"top_n_sigma", decimal(o.top_n_sigma)}},
      {"xtc-probability", {"xtc_probability", decimal(o.xtc_probability)}},
      {"xtc-threshold", {"xtc_threshold", decimal(o.xtc_threshold)}},
      {"dry-multiplier", {"dry_multiplier", decimal(o.dry_multiplier)}},
      {"dry-base", {"dry_base", decimal(o.dry_base)}},
      {"dry-allowed-length", {"dry_allowed_length", o.dry_allowed_length}},
      {"dry-penalty-last-n", {"dry_penalty_last_n", o.dry_window}},
      {"dry-sequence-breaker", {"dry_sequence_breakers", o.dry_breakers}},
      {"dynatemp-range", {"dynatemp_range", decimal(o.dynamic_temperature_range)}},
      {"dynatemp-exp", {"dynatemp_exponent", decimal(o.dynamic_temperature_exponent)}},
      {"mirostat", {"mirostat", o.mirostat}},
      {"mirostat-ent", {"mirostat_tau", decimal(o.mirostat_tau)}},
      {"mirostat-lr", {"mirostat_eta", decimal(o.mirostat_eta)}},
      {"samplers", {"samplers", o.samplers}},
  };
  nlohmann::json json = nlohmann::json::object();
  if (o.max_tokens > 0) json["max_tokens"] = o.max_tokens;
  for (const CLI::Option* flag : flags) {
    if (flag->count() == 0) continue;
    const std::string name = long_name(*flag);
    if (name == "special")
      throw Error(ErrorKind::kUsage, "--special has no meaning here: rows keep the teacher's token ids");
    for (const auto& [flag_name, field] : rows)
      if (name == flag_name) json[field.first] = field.second;
  }
  return json;
}

// "topic=cats,dogs", or "topic=@FILE" with a value a line.
std::pair<std::string, std::vector<std::string>> parse_each(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0)
    throw Error(ErrorKind::kUsage, fmt::format("--each must be NAME=VALUE,VALUE or NAME=@FILE, not '{}'", text));
  const bool file = text[equals + 1] == '@';
  const std::string all = file ? read_file(text.substr(equals + 2)) : text.substr(equals + 1);
  std::vector<std::string> values;
  for (size_t at = 0; at < all.size();) {
    const size_t end = std::min(all.find(file ? '\n' : ',', at), all.size());
    std::string value = all.substr(at, end - at);
    if (value.ends_with('\r')) value.pop_back();
    if (!value.empty()) values.push_back(std::move(value));
    at = end + 1;
  }
  if (values.empty()) throw Error(ErrorKind::kUsage, "--each has no value", text);
  return {text.substr(0, equals), std::move(values)};
}

void parse_shard(const std::string& text, DistilOptions& options) {
  if (text.empty()) return;
  const size_t slash = text.find('/');
  if (slash == std::string::npos)
    throw Error(ErrorKind::kUsage, fmt::format("--shard must be I/N, as 1/4, not '{}'", text));
  options.shards = static_cast<int>(parse_integer(text.substr(slash + 1), 1, 1 << 20, "the number of shards"));
  options.shard = static_cast<int>(parse_integer(text.substr(0, slash), 1, options.shards, "a shard"));
}

}  // namespace

int64_t parse_thousands(std::string_view text, std::string_view what) {
  constexpr std::string_view kUnits = "KMGT";
  const size_t unit = text.empty() ? kUnits.npos : kUnits.find(static_cast<char>(std::toupper(text.back())));
  if (unit != kUnits.npos) text.remove_suffix(1);
  int64_t scale = 1;
  for (size_t i = 0; unit != kUnits.npos && i <= unit; ++i) scale *= 1000;
  return parse_integer(text, 0, std::numeric_limits<int64_t>::max() / scale, what) * scale;
}

DistilOptions DistilFlags::wanted() const {
  if (teacher.empty())
    throw Error(ErrorKind::kUsage, "who is the teacher?", {},
                "--teacher smollm2-135m, a model file, or the URL of a server");
  DistilOptions all = options;
  const bool url = teacher.starts_with("http://") || teacher.starts_with("https://");
  all.teacher.model = url ? teacher : model_path(teacher);
  const std::pair<const char*, bool> of_servers[] = {{"--teacher-model", !options.teacher.name.empty()},
                                                     {"--teacher-tokenizer", !options.teacher.tokenizer.empty()},
                                                     {"--api-key-env", !key_variable.empty()},
                                                     {"--api-key-file", !key_file.empty()},
                                                     {"--no-stream", !options.teacher.stream}};
  for (const auto& [name, given] : of_servers) {
    if (given && !url)
      throw Error(ErrorKind::kUsage,
                  fmt::format("{} is for a server, and this teacher is a model in this process", name), teacher,
                  "--teacher http://127.0.0.1:8080 names a server");
  }

  all.prompts.prompt_template = template_file.empty() ? template_text : read_file(template_file);
  if (!system_file.empty()) all.prompts.system = read_file(system_file);
  if (!tools_file.empty()) all.prompts.tools = read_file(tools_file);
  for (const std::string& one : each) all.prompts.each.push_back(parse_each(one));
  parse_shard(shard, all);

  nlohmann::json asked = sampling_json(sampling, sampling_flags);
  if (!extra.empty()) {
    check_json(extra, "--extra");
    const nlohmann::json more = nlohmann::json::parse(extra);
    if (!more.is_object()) throw Error(ErrorKind::kUsage, "--extra should be a JSON object");
    asked.update(more);
  }
  if (think != "auto") asked["chat_template_kwargs"]["enable_thinking"] = think == "on";
  all.sampling = asked.dump();
  all.seed = sampling.seed;

  if (!key_variable.empty()) {
    const char* key = std::getenv(key_variable.c_str());
    if (key == nullptr || *key == '\0')
      throw Error(ErrorKind::kUsage, fmt::format("the variable {} is empty", key_variable), {},
                  "--api-key-env names the variable that holds the key, not the key");
    all.teacher.api_key = key;
  } else if (!key_file.empty()) {
    std::string key = read_file(key_file);
    key.erase(0, key.find_first_not_of(" \t\r\n"));
    key.erase(key.find_last_not_of(" \t\r\n") + 1);
    all.teacher.api_key = key;
  }
  return all;
}

void add_distil_flags(CLI::App& app, DistilFlags& flags) {
  DistilOptions& o = flags.options;
  DistilTeacher& t = o.teacher;
  add_texts(app, "FILE", o.prompts.files, "FILE", "Prompts: *.jsonl, *.csv with a head, or a text with one a line")
      ->expected(0, CLI::detail::expected_max_vector_size)
      ->allow_extra_args();
  add_text(app, "--teacher", flags.teacher, "MODEL", "Who answers: a model's name or file, or a server's URL");
  add_text(app, "-o,--out", o.out, "DIR", "Folder of the rows");

  const char* prompts = "Prompts";
  add_text(app, "--template", flags.template_text, "TEXT",
           "A prompt with variables of the files' rows: \"Explain {{topic}}.\"")
      ->group(prompts);
  add_text(app, "--template-file", flags.template_file, "FILE", "The same from a file")->group(prompts);
  add_texts(app, "--each", flags.each, "NAME=A,B",
            "A variable with all its values, or NAME=@FILE with one a line; every combination is asked (repeatable)")
      ->group(prompts);
  add_value(app, "--separator", "TEXT",
            "What stands between the prompts of a text, if not the line's end; \\n and \\t work",
            [&o](const std::string& text) { o.prompts.separator = unescaped(text); })
      ->group(prompts);
  add_text(app, "--system", o.prompts.system, "TEXT", "System prompt of those that bring none")->group(prompts);
  add_text(app, "--system-file", flags.system_file, "FILE", "The same from a file")->group(prompts);
  add_text(app, "--tools", flags.tools_file, "FILE", "Functions that the teacher may call, as the OpenAI API has them")
      ->group(prompts);
  add_integer(app, "--n", o.prompts.samples, 1, "Answers to each prompt")->group(prompts);
  add_text(app, "--shard", flags.shard, "I/N", "Ask for this part of the rows alone, as 1/4")->group(prompts);

  flags.sampling.max_tokens = 1024;
  const auto before = app.get_options();
  add_sampling(app, flags.sampling);
  flags.sampling_flags = app.get_options();
  std::erase_if(flags.sampling_flags,
                [&](auto* flag) { return std::find(before.begin(), before.end(), flag) != before.end(); });

  const char* teacher = "Teacher";
  add_choice(app, "--think", flags.think, {"auto", "on", "off"},
             "Whether the teacher is to think first; auto: as its template says")
      ->group(teacher);
  add_integer(app, "--logprobs", o.top_k, 0,
              "Keep the K likeliest tokens of each place, for training on them; 0 = none")
      ->group(teacher);
  add_text(app, "--extra", flags.extra, "JSON", "More fields of a request, as '{\"reasoning_effort\": \"high\"}'")
      ->group(teacher);
  add_text(app, "--teacher-model", t.name, "NAME", "Which of the server's models")->group(teacher);
  add_text(app, "--teacher-tokenizer", t.tokenizer, "FILE", "A GGUF file with the vocabulary of the server's model")
      ->group(teacher);
  add_text(app, "--api-key-env", flags.key_variable, "NAME", "The environment variable that holds the server's key")
      ->group(teacher);
  add_text(app, "--api-key-file", flags.key_file, "FILE", "The file that holds it")->group(teacher);
  app.add_flag_callback(
         "--no-stream", [&t] { t.stream = false; }, "Ask the server for whole answers, not for pieces")
      ->group(teacher);
  add_integer(app, "--streams", t.streams, 1, "Answers at a time, of a model in this process")->group(teacher);
  add_context(app, t.session);
  add_threads(app, t.load);

  const char* faults = "Faults";
  add_integer(app, "--concurrency", o.concurrency, 0, "Requests under way at most; 0 = 32, or as many as --streams")
      ->group(faults);
  add_integer(app, "--attempts", o.attempts, 1, "Attempts at a row before it has failed")->group(faults);
  add_seconds(app, "--backoff", o.backoff_seconds, "Before the second attempt, at most; doubles with each", faults);
  add_seconds(app, "--timeout", t.idle_seconds, "Without a byte, within an answer", faults, kLeastSeconds);
  add_seconds(app, "--first-timeout", t.first_byte_seconds, "Until an answer begins", faults, kLeastSeconds);
  add_integer(app, "--breaker", o.breaker_failures, 1,
              "Failures in a row after which the server is left alone for a while")
      ->group(faults);
  add_seconds(app, "--give-up", o.give_up_seconds, "Without any answer, and with none under way, then the run ends",
              faults, kLeastSeconds);
  add_flag(app, "--keep-failures", o.keep_failures, "Do not try again what has failed in an earlier run")
      ->group(faults);

  add_value(app, "--budget-tokens", "N", "Tokens of all rows in the folder, as 2M; then the run ends",
            [&o](const std::string& text) { o.budget_tokens = parse_thousands(text, "--budget-tokens"); })
      ->group("Budget");
  add_seconds(app, "--budget-seconds", o.budget_seconds, "Of this run; 0 = no bound", "Budget");
  add_money(app, "--budget-money", o.budget_money, "What all rows in the folder may cost");
  add_money(app, "--price-in", o.price_in, "A million tokens of prompts");
  add_money(app, "--price-out", o.price_out, "A million tokens of answers");
}

}  // namespace fieldprint::cli
