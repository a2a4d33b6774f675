// MMLU-Pro: Wang et al. 2024, https://arxiv.org/abs/2406.01574. Questions of 14 subjects with up to ten options,
// answered after thinking step by step.
#include <fmt/format.h>

#include <algorithm>

#include "eval/task.h"
#include "eval/tasks/exact_match.h"
#include "fieldprint/error.h"

namespace fieldprint {
namespace {

constexpr std::string_view kLetters = "ABCDEFGHIJ";

std::string ask(const Document& document) {
  std::string text = "Question:\n" + text_member(document, "question") + "\nOptions:\n";
  const std::vector<std::string> options = texts_member(document, "options");
  for (size_t i = 0; i < std::min(options.size(), kLetters.size()); ++i) {
    text += kLetters[i];
    text += ". ";
    text += strip(options[i]);
    text += '\n';
  }
  return text + "Answer: Let's think step by step.";
}

std::vector<EvalScore> score(const Document& document, std::string_view answer) {
  static const Pattern letter(R"(answer is \(?([ABCDEFGHIJ])\)?)");
  std::string read = extract(letter, answer, WhichMatch::kFirst);
  const bool right =
      exact_match(read, text_member(document, "answer"), {.ignore_case = true, .ignore_punctuation = true});
  return {{.metric = "exact_match", .filter = "custom-extract", .value = right ? 1.0 : 0.0, .read = std::move(read)}};
}

// Rows of other subjects are in the same file.
std::optional<Document> of_subject(Document row, const std::string& subject) {
  if (text_member(row, "category") != subject) return std::nullopt;
  Document& options = row["options"];
  if (options.is_string()) options = parse_python_value(options.get<std::string>());  // of a CSV file
  const size_t count = std::min(texts_member(row, "options").size(), kLetters.size());
  text_member(row, "question");
  const std::string& answer = text_member(row, "answer");
  if (answer.size() != 1 || kLetters.substr(0, count).find(answer) == kLetters.npos)
    throw Error(ErrorKind::kBadInput, fmt::format("'answer' is '{}', the letter of none of {} options", answer, count));
  return row;
}

EvalTask of(const std::string& subject) {
  std::string name = subject;
  std::replace(name.begin(), name.end(), ' ', '_');
  EvalTask task;
  task.name = "mmlu_pro_" + name;
  task.alias = name;
  task.group = "mmlu_pro";
  task.version = 3.1;
  task.kind = EvalKind::kGenerate;
  task.metrics = {{.name = "exact_match"}};
  task.shots = 5;
  task.shots_choice = EvalShots::kFirst;
  task.description =
      "The following are multiple choice questions (with answers) about " + subject +
      ". Think step by step and then finish your answer with \"the answer is (X)\" where X is the correct "
      "letter choice.\n";
  task.generation = {.until = {"Question:"}, .max_tokens = 2048};
  task.question = ask;
  task.target = [](const Document& document) { return text_member(document, "answer"); };
  task.shot = [](const Document& document) {
    const std::string& thought = text_member(document, "cot_content");
    return EvalShot{ask(document), replace_all(thought, "A: Let's think step by step. ", "")};
  };
  task.score = score;
  task.data = {.dataset = "TIGER-Lab/MMLU-Pro",
               .source =
                   "load_dataset('TIGER-Lab/MMLU-Pro')['test'].to_json('mmlu_pro_test.jsonl') in Python, and "
                   "['validation'].to_json('mmlu_pro_validation.jsonl') for the examples",
               .licence = "MIT",
               .split = "test",
               .shots_split = "validation",
               .files = {"mmlu_pro_test.jsonl", "mmlu_pro/test.jsonl", "MMLU-Pro/test.jsonl"},
               .shots_files = {"mmlu_pro_validation.jsonl", "mmlu_pro/validation.jsonl", "MMLU-Pro/validation.jsonl"},
               .document = [subject](Document row) { return of_subject(std::move(row), subject); }};
  return task;
}

}  // namespace

std::vector<EvalTask> mmlu_pro_tasks() {
  std::vector<EvalTask> tasks;
  for (const char* subject : {"biology", "business", "chemistry", "computer science", "economics", "engineering",
                              "health", "history", "law", "math", "other", "philosophy", "physics", "psychology"})
    tasks.push_back(of(subject));
  return tasks;
}

}  // namespace fieldprint
