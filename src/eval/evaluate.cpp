#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "base/utf8.h"
#include "engine/loaded_model.h"
#include "eval/data.h"
#include "eval/item_log.h"
#include "eval/prompt.h"
#include "eval/report.h"
#include "eval/scores.h"
#include "fieldprint/error.h"
#include "train/distilled.h"

namespace fieldprint {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr int kMlxMost = 8192;  // tokens that mlx_lm.evaluate keeps of a request

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

std::string_view kind_name(EvalKind kind) {
  return kind == EvalKind::kGenerate  ? "generate_until"
         : kind == EvalKind::kRolling ? "loglikelihood_rolling"
                                      : "multiple_choice";
}

// The file that the options have for a task; "" where there is none.
std::string file_of(const EvalTask& task, EvalPart part, const EvalOptions& options) {
  const std::string suffix = part == EvalPart::kShots ? ":shots" : "";
  for (const std::string& name : {task.name, task.group}) {
    if (name.empty()) continue;
    const auto given = options.files.find(name + suffix);
    if (given == options.files.end()) continue;
    std::error_code ignored;
    if (!fs::is_directory(given->second, ignored)) return given->second;
    if (const std::string found = find_eval_file(task, part, given->second); !found.empty()) return found;
    throw_no_eval_data(task, part, given->second);
  }
  return options.data.empty() ? "" : find_eval_file(task, part, options.data);
}

// ---- What is to be done

struct TaskRun {
  const EvalTask* task;
  EvalDocuments documents;
  std::vector<EvalWork> works;
  EvalTaskResult result;
};

class Evaluation {
 public:
  Evaluation(std::shared_ptr<const Model> model, const EvalOptions& options,
             const std::function<bool(const EvalProgress&)>& progress)
      : model_(std::move(model)), options_(options), progress_(progress), log_(options.out) {
    check();
    result_.model = options.model_name.empty() ? model_->info().path : options.model_name;
    result_.fingerprint = model_->fingerprint();
    result_.vocabulary_hash = vocabulary_sha256(model_->tokenizer());
    result_.style = options.style;
    const ChatTemplate* chat_template = model_->chat_template();
    result_.chat = options.chat.value_or(options.style == EvalStyle::kMlx && chat_template != nullptr);
    if (result_.chat && chat_template == nullptr) {
      throw Error(ErrorKind::kUnsupported, "the model has no chat template", model_->info().path,
                  "leave out --apply-chat-template");
    }
    if (!result_.chat && options.multiturn) {
      throw Error(ErrorKind::kUsage, "examples are turns of a chat or one message only in a chat template",
                  options.multiturn.value() ? "--fewshot-as-multiturn" : "--fewshot-as-one-turn",
                  "with --apply-chat-template");
    }
    most_ = LikelihoodScorer(loaded(model_), options.session).most();
    if (!result_.chat) return;
    chat_.emplace(model_->tokenizer(), *chat_template);
    result_.chat_template = chat_template->source();
    result_.multiturn = options.multiturn.value_or(options.style == EvalStyle::kLmEval);
  }

  EvalResult run() {
    const auto start = Clock::now();
    std::vector<TaskRun> runs;
    for (const EvalTask* task : chosen()) runs.push_back(prepare(*task));
    result_.passed_over += options_.resume ? log_.passed_over() : 0;
    for (const TaskRun& each : runs) {
      for (const EvalWork& work : each.works) {
        ++total_;
        cost_left_ += work.done ? 0 : cost_of(work);
        done_ += work.done;
      }
    }
    std::vector<EvalSamples> samples;
    start_ = Clock::now();
    cost_total_ = cost_left_;
    for (TaskRun& each : runs) {
      compute(each);
      finish(each);
      if (!options_.out.empty()) {
        samples.push_back(make_samples(*each.task, each.works));
        each.result.hash = samples.back().hash;
      }
      result_.tasks.push_back(std::move(each.result));
    }
    add_groups();
    result_.seconds = seconds_since(start);
    if (!options_.out.empty()) result_.files = write_report(result_, options_, samples);
    return std::move(result_);
  }

 private:
  void check() const {
    for (const auto& [name, file] : options_.files) {  // a mistyped name would leave its file unread
      const size_t colon = name.find(':');
      if (colon != std::string::npos && name.substr(colon) != ":shots")
        throw Error(ErrorKind::kUsage, fmt::format("'{}' names no file of a task", name), "--data",
                    "TASK=FILE, or TASK:shots=FILE for few-shot examples");
      find_eval_tasks(name.substr(0, colon));
    }
    if (!is_utf8(options_.system)) throw Error(ErrorKind::kUsage, "the bytes are not UTF-8", "--system-instruction");
    if (options_.tasks.empty())
      throw Error(ErrorKind::kUsage, "which tasks?", "--tasks", "`fieldprint eval ls` lists them");
    if (options_.style != EvalStyle::kLlamaCpp) return;
    if (options_.chat.value_or(false) || options_.shots.value_or(0) > 0 || !options_.system.empty()) {
      throw Error(ErrorKind::kUsage, "llama-perplexity knows no chat template, instruction or few-shot examples",
                  "--style", "the style lm-eval does");
    }
  }

  std::vector<const EvalTask*> chosen() const {
    std::vector<const EvalTask*> tasks;
    for (const std::string& name : options_.tasks)
      for (const EvalTask* task : find_eval_tasks(name))
        if (std::find(tasks.begin(), tasks.end(), task) == tasks.end()) tasks.push_back(task);
    return tasks;
  }

  // All but the tasks and documents that an outcome depends on.
  std::string setting() const {
    const SessionOptions& s = options_.session;
    return fmt::format("{} {} {} {} {} {} {}", result_.fingerprint, eval_style_name(options_.style),
                       result_.chat ? "chat" : "plain", s.executor, s.kv_type, s.context, s.clearance);
  }

  TaskRun prepare(const EvalTask& task) {
    if (options_.style == EvalStyle::kLlamaCpp && !task.llama_cpp_choices) {
      throw Error(ErrorKind::kUnsupported, fmt::format("llama-perplexity has nothing like {}", task.name), "--style",
                  "the style lm-eval has it");
    }
    TaskRun run{&task, {}, {}, {}};
    const std::string file = file_of(task, EvalPart::kScored, options_);
    if (file.empty()) throw_no_eval_data(task, EvalPart::kScored, options_.data);
    run.documents = read_eval_documents(task, file);
    if (const int tokens = answer_tokens(task); task.kind == EvalKind::kGenerate && tokens >= most_) {
      throw Error(ErrorKind::kUsage,
                  fmt::format("answers of {} tokens leave a context of {} no room for the question", tokens, most_),
                  task.name, "a smaller --max-tokens, or a larger --context");
    }
    const int shots = options_.style == EvalStyle::kLlamaCpp ? 0 : options_.shots.value_or(task.shots);
    if (shots > 0 && task.kind == EvalKind::kRolling)
      throw Error(ErrorKind::kUsage, fmt::format("{} has no few-shot examples", task.name), "--fewshot");
    EvalDocuments examples;
    if (shots > 0) {
      const std::string shots_file = file_of(task, EvalPart::kShots, options_);
      if (shots_file.empty()) throw_no_eval_data(task, EvalPart::kShots, options_.data);
      examples = read_eval_documents(task, shots_file, EvalPart::kShots);
    }

    EvalTaskResult& result = run.result;
    result.name = task.name;
    result.alias = task.alias.empty() ? task.name : task.alias;
    result.group = task.group;
    result.version = task.version;
    result.kind = kind_name(task.kind);
    result.shots = shots;
    result.documents_in_file = static_cast<int>(run.documents.documents.size());
    for (const auto* files : {&run.documents.files, &examples.files})
      for (const EvalFile& each : *files) result.files.emplace_back(each.path, each.sha256);

    EvalPrompts prompts(task,
                        {.shots = shots,
                         .seed = options_.shots_seed(),
                         .system = options_.system,
                         .multiturn = result_.multiturn,
                         .chat = chat_ ? &*chat_ : nullptr},
                        std::move(examples.documents));
    for (const Document& document : run.documents.documents) {
      if (options_.limit > 0 && run.works.size() == static_cast<size_t>(options_.limit)) break;
      EvalWork& work = run.works.emplace_back();
      work.id = static_cast<int>(run.works.size()) - 1;
      work.document = &document;
      told_with_place(run, work, [&] {
        ask(task, prompts, work);
        encode(task, work);
      });
      for (const ScoreRequest& request : work.requests) result.shortened += request.shortened;
      work.key = item_key(setting(), task, work);
      const EvalOutcome* known = options_.resume ? log_.find(work.key) : nullptr;
      if (known == nullptr) continue;
      if (!fits(task, work, *known)) {
        ++result_.passed_over;
        continue;
      }
      work.outcome = *known;
      work.requests.clear();
      work.done = true;
      ++result.resumed;
    }
    result.documents = static_cast<int>(run.works.size());
    return run;
  }

  int answer_tokens(const EvalTask& task) const {
    return options_.max_tokens > 0 ? options_.max_tokens : task.generation.max_tokens;
  }

  // Errors of a document name its file and row.
  template <typename What>
  static void told_with_place(const TaskRun& run, const EvalWork& work, const What& what) {
    try {
      what();
    } catch (const Error& error) {
      throw Error(error.kind(), fmt::format("{}: {}", run.task->name, error.what()),
                  fmt::format("{}:{}", run.documents.files[0].path, run.documents.rows[static_cast<size_t>(work.id)]),
                  error.hint());
    }
  }

  // Whether the log's outcome can be one of this work: anybody may have written into the file.
  static bool fits(const EvalTask& task, const EvalWork& work, const EvalOutcome& outcome) {
    if (outcome.written != (task.kind == EvalKind::kGenerate)) return false;
    return std::equal(work.requests.begin(), work.requests.end(), outcome.tokens.begin(), outcome.tokens.end(),
                      [](const ScoreRequest& request, int tokens) {
                        return request.continuation.size() == static_cast<size_t>(tokens);
                      });
  }

  void encode(const EvalTask& task, EvalWork& work) const {
    const Tokenizer& tokenizer = model_->tokenizer();
    const int most = options_.style == EvalStyle::kMlx ? std::min(most_, kMlxMost) : most_;
    if (task.kind == EvalKind::kGenerate) return;
    if (task.kind == EvalKind::kRolling) {
      work.requests = rolling_requests(tokenizer, work.pairs[0].continuation, most);
    } else if (options_.style == EvalStyle::kLlamaCpp) {
      work.requests = llama_cpp_requests(tokenizer, work.pairs, work.choices.continuations.size() == 1, most);
    } else {
      work.requests = encode_requests(options_.style, tokenizer, work.pairs, result_.chat, most);
    }
  }

  void ask(const EvalTask& task, EvalPrompts& prompts, EvalWork& work) {
    const Document& document = *work.document;
    switch (task.kind) {
      case EvalKind::kRolling:
        work.pairs = {{"", task.rolling(document).text}};
        work.target = work.pairs[0].continuation;
        return;
      case EvalKind::kGenerate:
        work.prompt = {prompts.contexts(document, {task.question(document)})[0], prompts.templated(),
                       task.generation.until, answer_tokens(task)};
        work.target = task.target(document);
        return;
      case EvalKind::kMultipleChoice:
        break;
    }
    const bool llama_cpp = options_.style == EvalStyle::kLlamaCpp;
    work.choices = llama_cpp ? task.llama_cpp_choices(document) : task.choices(document);
    const auto& [contexts, continuations, gold] = work.choices;
    work.target = continuations.size() == 1 ? continuations[0] : std::to_string(gold);
    const auto asked = llama_cpp ? contexts : prompts.contexts(document, contexts);
    const std::string delimiter = !llama_cpp ? prompts.delimiter() : continuations.size() == 1 ? "" : " ";
    for (size_t i = 0; i < std::max(contexts.size(), continuations.size()); ++i) {
      work.pairs.push_back(
          {asked[std::min(i, asked.size() - 1)], delimiter + continuations[std::min(i, continuations.size() - 1)]});
    }
  }

  // About how much there is to do, in characters.
  static double cost_of(const EvalWork& work) {
    double cost =
        static_cast<double>(work.prompt.text.size()) + 40.0 * (work.pairs.empty() ? work.prompt.max_tokens : 0);
    for (size_t i = 0; i < work.pairs.size(); ++i) {
      cost += static_cast<double>(work.pairs[i].continuation.size());
      if (i == 0 || work.pairs[i].context != work.pairs[0].context)
        cost += static_cast<double>(work.pairs[i].context.size());
    }
    return cost;
  }

  // ---- What is done

  void compute(TaskRun& run) {
    const auto start = Clock::now();
    std::vector<EvalWork*> left;
    for (EvalWork& work : run.works)
      if (!work.done) left.push_back(&work);
    if (!tell(run)) stopped();
    if (!left.empty()) {
      if (run.task->kind == EvalKind::kGenerate) generate(run, left);
      else score(run, left);
    }
    run.result.seconds = seconds_since(start);
  }

  void score(TaskRun& run, const std::vector<EvalWork*>& left) {
    LikelihoodScorer scorer(loaded(model_), options_.session);
    std::vector<std::vector<ScoreRequest>> requests;
    for (EvalWork* work : left) requests.push_back(std::move(work->requests));
    bool stop = false;
    scorer.score(requests, [&](size_t i, std::span<const RequestScore> scores) {
      EvalWork& work = *left[i];
      work.outcome.scores.assign(scores.begin(), scores.end());
      for (const ScoreRequest& request : requests[i])
        work.outcome.tokens.push_back(static_cast<int>(request.continuation.size()));
      stop = !settle(run, work);
      return !stop;
    });
    run.result.tokens_computed = scorer.work().tokens_computed;
    run.result.tokens_read = scorer.work().tokens_read;
    if (stop) stopped();
  }

  void generate(TaskRun& run, const std::vector<EvalWork*>& left) {
    std::vector<EvalPrompt> prompts;
    for (const EvalWork* work : left) prompts.push_back(work->prompt);
    EvalGenerateOptions options;
    options.session = options_.session;
    options.streams = options_.streams;
    options.format = chat_ ? &*chat_ : nullptr;
    generate_answers(model_, prompts, options, [&](size_t i, EvalAnswer answer) {
      EvalWork& work = *left[i];
      const int alone = answer.prompt_tokens + answer.tokens;
      run.result.tokens_read += static_cast<uint64_t>(alone);
      run.result.tokens_computed += static_cast<uint64_t>(alone - answer.reused_tokens);
      work.outcome.answer = std::move(answer);
      work.outcome.written = true;
      return settle(run, work);
    });
  }

  // An outcome is in: into the log before anybody hears of it. False: somebody wants to stop.
  bool settle(TaskRun& run, EvalWork& work) {
    work.done = true;
    log_.add(*run.task, work);
    ++done_;
    cost_left_ -= cost_of(work);
    return tell(run);
  }

  bool tell(const TaskRun& run) const {
    if (!progress_) return true;
    const double spent = cost_total_ - cost_left_;
    EvalProgress now{run.task->name, done_, total_};
    if (spent > 0) now.seconds_left = seconds_since(start_) / spent * std::max(0.0, cost_left_);
    return progress_(now);
  }

  [[noreturn]] void stopped() const {
    throw Error(ErrorKind::kLimit, "stopped", {}, options_.out.empty() ? "" : "the same command goes on where it was");
  }

  void finish(TaskRun& run) const {
    const EvalTask& task = *run.task;
    EvalTaskResult& result = run.result;
    int cut = 0, empty = 0, unclosed = 0;
    for (EvalWork& work : run.works) {
      switch (task.kind) {
        case EvalKind::kMultipleChoice:
          work.scores = score_choices(task, options_.style, work);
          break;
        case EvalKind::kRolling:
          work.scores = score_rolling(task, work);
          break;
        case EvalKind::kGenerate:
          told_with_place(run, work, [&] { work.scores = task.score(*work.document, work.outcome.answer.text); });
          result.shortened += work.outcome.answer.shortened;
          cut += work.outcome.answer.cut;
          unclosed += work.outcome.answer.unclosed;
          empty += work.outcome.answer.text.find_first_not_of(" \t\r\n") == std::string::npos;
          result.answer_tokens += static_cast<uint64_t>(work.outcome.answer.tokens);
      }
      EvalItem& item = result.items.emplace_back();
      item.document = work.id;
      for (const RequestScore& score : work.outcome.scores) item.log_likelihoods.push_back(score.log_likelihood);
      for (const EvalScore& score : work.scores)
        item.metrics[score.metric + "," + score.filter] = score.value / score.weight;
    }
    result.metrics = aggregate_scores(task, run.works);
    if (task.kind != EvalKind::kGenerate) return;
    const auto share = [&](int count) { return static_cast<double>(count) / static_cast<double>(run.works.size()); };
    result.cut_share = share(cut);
    result.empty_share = share(empty);
    result.unclosed_share = share(unclosed);
  }

  void add_groups() {
    for (const EvalTaskResult& task : result_.tasks) {
      if (task.group.empty() || (!result_.groups.empty() && result_.groups.back().name == task.group)) continue;
      std::vector<const EvalTaskResult*> members;
      EvalGroupResult group{task.group, {}, {}};
      for (const EvalTaskResult& other : result_.tasks) {
        if (other.group != task.group) continue;
        members.push_back(&other);
        group.tasks.push_back(other.name);
      }
      if (members.size() != find_eval_tasks(task.group).size()) continue;  // some of its tasks make no group's score
      group.metrics = group_metrics(members);
      result_.groups.push_back(std::move(group));
    }
  }

  std::shared_ptr<const Model> model_;
  const EvalOptions& options_;
  const std::function<bool(const EvalProgress&)>& progress_;
  ItemLog log_;
  std::optional<ChatFormat> chat_;
  EvalResult result_;
  int most_ = 0;  // tokens of a context
  int64_t done_ = 0, total_ = 0;
  double cost_left_ = 0, cost_total_ = 0;
  Clock::time_point start_;
};

}  // namespace

std::string_view eval_style_name(EvalStyle style) {
  return style == EvalStyle::kMlx ? "mlx" : style == EvalStyle::kLlamaCpp ? "llama.cpp" : "lm-eval";
}

std::vector<EvalTaskInfo> list_eval_tasks(const EvalOptions& options) {
  std::vector<EvalTaskInfo> tasks;
  for (const EvalTask& task : eval_tasks()) {
    EvalTaskInfo& info = tasks.emplace_back();
    info.name = task.name;
    info.group = task.group;
    info.kind = kind_name(task.kind);
    info.version = task.version;
    for (const EvalMetric& metric : task.metrics) info.metrics.push_back(metric.name);
    info.shots = task.shots;
    info.split = task.data.split;
    info.dataset = task.data.dataset;
    info.source = task.data.source;
    info.licence = task.data.licence;
    info.note = task.note;
    try {
      info.file = file_of(task, EvalPart::kScored, options);
    } catch (const Error&) {  // a folder without it
    }
  }
  return tasks;
}

uint64_t EvalResult::tokens_computed() const {
  uint64_t sum = 0;
  for (const EvalTaskResult& task : tasks) sum += task.tokens_computed;
  return sum;
}

uint64_t EvalResult::tokens_read() const {
  uint64_t sum = 0;
  for (const EvalTaskResult& task : tasks) sum += task.tokens_read;
  return sum;
}

EvalResult evaluate(std::shared_ptr<const Model> model, const EvalOptions& options,
                    const std::function<bool(const EvalProgress&)>& progress) {
  return Evaluation(std::move(model), options, progress).run();
}

}  // namespace fieldprint
