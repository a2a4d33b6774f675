// Evaluation: how many of a data set's questions a model answers well, as lm-evaluation-harness 0.4.13, mlx_lm.evaluate
// or llama-perplexity would count it. docs/eval.md says what each figure is. Scores are the same to the last digit for
// any number of threads, batch or chunk.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fieldprint/model.h"
#include "fieldprint/session.h"

namespace fieldprint {

enum class EvalStyle { kLmEval, kMlx, kLlamaCpp };
std::string_view eval_style_name(EvalStyle style);  // "lm-eval", "mlx", "llama.cpp"

struct EvalOptions {
  std::vector<std::string> tasks;            // names of tasks and groups
  std::string data;                          // folder of their files; "": none
  std::map<std::string, std::string> files;  // a task's file, or folder, in place of what lies in `data`; a group's
                                             // stands for its tasks; TASK:shots is that of few-shot examples
  EvalStyle style = EvalStyle::kLmEval;
  int limit = 0;                  // first documents of each task; 0: all
  std::optional<int> shots;       // few-shot examples; none: as the task has it
  std::optional<uint64_t> seed;   // of their choice; none: that of the style's harness, see shots_seed()
  std::optional<bool> chat;       // through the model's chat template; none: in the mlx style where there is one
  std::string system;             // instruction
  std::optional<bool> multiturn;  // examples as turns of the chat, which there must be; none: in the lm-eval style
  int max_tokens = 0;             // of a generated answer; 0: as the task has it
  int streams = 0;                // answers generated at a time; 0: what suits the machine
  std::string out;                // folder for results, samples and the log that a run resumes from; "": none
  bool resume = true;             // what the log has is not computed again
  std::string model_name;         // as results name it; "": the model file's path
  SessionOptions session;

  uint64_t shots_seed() const { return seed.value_or(style == EvalStyle::kMlx ? 123 : 1234); }
};

// ---- What there is

struct EvalTaskInfo {
  std::string name, group;
  std::string kind;  // "multiple_choice", "generate_until", "loglikelihood_rolling"
  double version = 1;
  std::vector<std::string> metrics;
  int shots = 0;
  std::string split, dataset, source, licence, note;
  std::string file;  // that was found; "": none
};

// All tasks, with the files that options.data and options.files have.
std::vector<EvalTaskInfo> list_eval_tasks(const EvalOptions& options = {});

// ---- What came out

struct EvalMetricValue {
  std::string name;             // "acc_norm"
  std::string filter = "none";  // which reading of the answer
  double value = 0;
  std::optional<double> error = {};  // standard error of a mean; none where there is none
  bool higher_is_better = true;
};

// One document's outcome, for comparisons.
struct EvalItem {
  int document = 0;                       // its number in the file, from 0
  std::vector<double> log_likelihoods;    // of the choices, or of the text
  std::map<std::string, double> metrics;  // "acc,none" -> value / weight
};

struct EvalTaskResult {
  std::string name, alias, group;
  double version = 1;
  std::string kind;
  int shots = 0;
  int documents = 0, documents_in_file = 0;
  std::vector<EvalMetricValue> metrics;
  std::vector<EvalItem> items;
  double seconds = 0;            // of computing what was not in the log
  int resumed = 0;               // documents that were
  uint64_t tokens_computed = 0;  // that passed the model
  uint64_t tokens_read = 0;      // that would have, with each request read by itself
  int shortened = 0;             // requests that were longer than the context and lost their beginning
  // Of generated answers: shares of those that ended at the limit, had no text, and whose thought did not end.
  std::optional<double> cut_share, empty_share, unclosed_share;
  uint64_t answer_tokens = 0;
  std::vector<std::pair<std::string, std::string>> files;  // path and SHA-256
  std::string hash;  // SHA-256 of the samples' hashes, as the harness's task_hashes
};

struct EvalGroupResult {
  std::string name;
  std::vector<std::string> tasks;
  std::vector<EvalMetricValue> metrics;  // means over all documents of the tasks
};

struct EvalResult {
  std::string model;            // as results name it
  std::string fingerprint;      // Model::fingerprint()
  std::string vocabulary_hash;  // SHA-256 of the tokens in order
  std::string chat_template;    // its source, where it was applied
  EvalStyle style = EvalStyle::kLmEval;
  bool chat = false, multiturn = false;
  std::vector<EvalTaskResult> tasks;
  std::vector<EvalGroupResult> groups;
  double seconds = 0;
  int passed_over = 0;             // lines of the log that are broken or do not fit what is asked; computed anew
  std::vector<std::string> files;  // written into options.out

  uint64_t tokens_computed() const;
  uint64_t tokens_read() const;
};

// What is under way; `seconds_left` is below 0 until it can be guessed.
struct EvalProgress {
  std::string_view task;
  int64_t done = 0, total = 0;  // documents of all tasks
  double seconds_left = -1;
};

// Scores the tasks one after the other. All data is read, and all that is scored made into tokens, before anything is
// computed; errors name the file and the row. `progress` is called
// on the calling thread; false: stop in order, which is an Error kLimit; what the log holds stays. Throws Error kUsage,
// kNotFound (data that is not there), kBadInput (data that makes no sense), kUnsupported, kIo.
EvalResult evaluate(std::shared_ptr<const Model> model, const EvalOptions& options,
                    const std::function<bool(const EvalProgress&)>& progress = {});

// ---- Two models on the same documents

struct EvalDifference {
  std::string task, metric, filter;
  double difference = 0;                // second minus first
  int only_first = 0, only_second = 0;  // documents that one of them alone got right
  double p = 1;                         // of McNemar's exact test, two-sided
  double mean_delta = 0;                // mean |difference of log-likelihoods|, nats, over all choices
};

// Of each metric that is right or wrong for each document. Documents that one of the two lacks are left out.
std::vector<EvalDifference> compare_evals(const EvalResult& first, const EvalResult& second);

// The table as lm-evaluation-harness prints it, and the results as it writes them (JSON; only its "results" where
// `results_only`).
std::string eval_table(const EvalResult& result);
std::string eval_json(const EvalResult& result, const EvalOptions& options, bool results_only = false);

}  // namespace fieldprint
