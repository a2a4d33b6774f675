// The contract of an evaluation's task: what a document asks, and what an answer scores. A task is one file in
// src/eval/tasks/ that defines its function, and one row in tasks.def. Definitions are those of lm-evaluation-harness
// 0.4.13 (github.com/EleutherAI/lm-evaluation-harness), so that scores can be set beside published ones.
//
// Three kinds. Multiple choice: each choice's log-likelihood behind a context. Generation: a text that goes on from a
// prompt, and what is looked for in it. Rolling: the log-likelihood of a whole text.
//
// A task knows texts and documents, nothing of tokens, models or files: few-shot examples, chat templates, tokenising
// and scoring are the same for all. Everything here is immutable and may be used from any thread.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "eval/document.h"

namespace fieldprint {

enum class EvalKind { kMultipleChoice, kGenerate, kRolling };

// Where a task's documents come from. Files are the user's: nothing is downloaded.
struct EvalData {
  std::string dataset;  // as the Hugging Face hub names it, with its configuration: "allenai/ai2_arc ARC-Easy"
  std::string source;   // whole sentence: where the files can be had
  std::string licence;  // of the data, as its publishers state it; "": not stated
  std::string split;    // that is scored: "test"
  std::string shots_split = "train";  // that few-shot examples are drawn from; "": there are none to draw
  // Names that the files have as published, looked for in the data folder beside TASK.jsonl, TASK_SPLIT.jsonl,
  // TASK/SPLIT.jsonl and the same with .json and .csv.
  std::vector<std::string> files = {}, shots_files = {};
  // A row of any published form as the harness has it, or nothing where it belongs to another task (a subject of many
  // in one file). Throws Error kBadInput for a row that makes no sense; the caller adds file and line.
  std::function<std::optional<Document>(Document row)> document;
};

// How few-shot examples are chosen: drawn by Python's random.Random(seed).sample, whose state goes on from document to
// document, or the first ones.
enum class EvalShots { kSample, kFirst };

struct EvalShot {
  std::string question;
  std::string answer;  // "": the question holds it, and nothing is put between or behind
};

// ---- What documents ask

// Choice i is continuation i behind context i; either list has one entry where that is the same for all choices.
struct EvalChoices {
  std::vector<std::string> contexts;
  std::vector<std::string> continuations;  // without the delimiter; acc_norm divides by their lengths
  int gold = 0;                            // which choice is right
};

struct EvalRolling {
  std::string text;  // what is scored
  double words = 0;  // that word_perplexity divides by
  double bytes = 0;  // that byte_perplexity and bits_per_byte divide by
};

struct EvalGeneration {
  std::vector<std::string> until;  // an answer ends before the first of these
  int max_tokens = 256;
};

// ---- What answers score

enum class EvalAggregate {
  kMean,         // sum of values / sum of weights; with weights of 1 it has a standard error
  kPerplexity,   // e^(-the mean): values are log-likelihoods, weights words or bytes
  kBitsPerByte,  // -the mean / ln 2
};

struct EvalMetric {
  std::string name;  // "acc_norm"
  bool higher_is_better = true;
  EvalAggregate aggregate = EvalAggregate::kMean;
};

struct EvalScore {
  std::string metric;           // of the task's metrics
  std::string filter = "none";  // which reading of the answer: "strict-match"
  double value = 0, weight = 1;
  std::string read = {};  // what the filter made of the answer
};

struct EvalTask {
  std::string name;        // "arc_easy": on command lines, in results
  std::string alias = {};  // in tables, where a group has a shorter name for it; "": the name
  std::string group = {};  // whose score is the mean over its tasks' documents; "": none. `--tasks GROUP` means all
  double version = 1;      // of the harness's definition
  EvalKind kind = EvalKind::kMultipleChoice;
  EvalData data;
  std::vector<EvalMetric> metrics;
  std::string note = {};  // a sentence where something is not exactly as in the harness; shown by `eval ls`

  int shots = 0;  // few-shot examples where the user asks for no other number
  EvalShots shots_choice = EvalShots::kSample;
  bool shots_may_hold_document = true;  // false: one more is drawn, and the document itself is left out
  std::string description = {};         // comes before everything, as the system's message in a chat
  std::string delimiter = " ";          // between a question and its answer; none behind a chat template
  std::string shots_delimiter = "\n\n";

  // kMultipleChoice.
  std::function<EvalChoices(const Document&)> choices = {};
  // The same as llama-perplexity asks it; none: that style does not know the task.
  std::function<EvalChoices(const Document&)> llama_cpp_choices = {};

  // kGenerate: question, what `target` says in samples, an example of it, and the scores of an answer. An answer that
  // never came (nothing written, a thought that was cut) is "".
  EvalGeneration generation = {};
  std::function<std::string(const Document&)> question = {};
  std::function<std::string(const Document&)> target = {};
  std::function<EvalShot(const Document&)> shot = {};  // none: question and target; multiple choice: the gold choice
  std::function<std::vector<EvalScore>(const Document&, std::string_view answer)> score = {};

  // kRolling.
  std::function<EvalRolling(const Document&)> rolling = {};
};

// All rows of tasks.def in order; a function there may give several tasks. Lives as long as the program.
std::span<const EvalTask> eval_tasks();

// The tasks of a name, which may be a group's. Throws Error kUsage for an unknown one, with those that are like it.
std::vector<const EvalTask*> find_eval_tasks(std::string_view name);

}  // namespace fieldprint
