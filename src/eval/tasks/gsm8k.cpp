// GSM8K: Cobbe et al. 2021, https://arxiv.org/abs/2110.14168. Grade-school word problems, whose answers end in
// "#### number".
#include "eval/task.h"
#include "eval/tasks/exact_match.h"

namespace fieldprint {
namespace {

std::vector<EvalScore> score(const Document& document, std::string_view answer) {
  static const Pattern strict(R"(#### (\-?[0-9\.\,]+))"), flexible(R"((-?[$0-9.,]{2,})|(-?[0-9]+))");
  static const std::vector<Pattern> ignored = {Pattern(","), Pattern(R"(\$)"), Pattern("(?s).*#### "),
                                               Pattern(R"(\.$)")};
  const std::string& gold = text_member(document, "answer");
  const auto scored = [&](const char* filter, std::string read) {
    const bool right = exact_match(read, gold, {.ignored = ignored, .ignore_case = true});
    return EvalScore{.metric = "exact_match", .filter = filter, .value = right ? 1.0 : 0.0, .read = std::move(read)};
  };
  return {scored("strict-match", extract(strict, answer, WhichMatch::kFirst)),
          scored("flexible-extract", extract(flexible, answer, WhichMatch::kLast))};
}

}  // namespace

std::vector<EvalTask> gsm8k_tasks() {
  EvalTask task;
  task.name = "gsm8k";
  task.version = 3;
  task.kind = EvalKind::kGenerate;
  task.metrics = {{.name = "exact_match"}};
  task.shots = 5;
  task.generation = {.until = {"Question:", "</s>", "<|im_end|>"}};
  task.question = [](const Document& document) {
    return "Question: " + text_member(document, "question") + "\nAnswer:";
  };
  task.target = [](const Document& document) { return text_member(document, "answer"); };
  task.score = score;
  task.data = {.dataset = "openai/gsm8k main",
               .source =
                   "train.jsonl and test.jsonl are in grade_school_math/data of "
                   "https://github.com/openai/grade-school-math",
               .licence = "MIT",
               .split = "test",
               .shots_split = "train",
               .files = {"grade_school_math/data/test.jsonl", "gsm8k/test.jsonl"},
               .shots_files = {"grade_school_math/data/train.jsonl", "gsm8k/train.jsonl"},
               .document = [](Document row) {
                 text_member(row, "question");
                 text_member(row, "answer");
                 return std::optional(std::move(row));
               }};
  return {task};
}

}  // namespace fieldprint
