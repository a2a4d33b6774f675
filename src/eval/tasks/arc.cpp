// ARC, the AI2 Reasoning Challenge: Clark et al. 2018, https://arxiv.org/abs/1803.05457. Grade-school science.
#include "eval/tasks/question_forms.h"

namespace fieldprint {
namespace {

EvalChoices ask(const Document& document) {
  return {{"Question: " + text_member(document, "question") + "\nAnswer:"},
          texts_member(document, "choices.text"),
          answer_index(document, text_member(document, "answerKey"))};
}

EvalTask arc(const std::string& name, const std::string& title) {
  EvalTask task;
  task.name = name;
  task.metrics = accuracy_metrics(true);
  task.choices = task.llama_cpp_choices = ask;
  task.data = {.dataset = "allenai/ai2_arc ARC-" + title,
               .source = "ARC-" + title + "-Test.jsonl is in the archive at https://allenai.org/data/arc",
               .licence = "CC BY-SA 4.0",
               .split = "test",
               .files = {"ARC-" + title + "-Test.jsonl", "ARC-" + title + "/test.jsonl"},
               .shots_files = {"ARC-" + title + "-Train.jsonl", "ARC-" + title + "/train.jsonl"},
               .document = [](Document row) { return std::optional(flat_question(std::move(row), "question")); }};
  return task;
}

}  // namespace

std::vector<EvalTask> arc_tasks() { return {arc("arc_challenge", "Challenge"), arc("arc_easy", "Easy")}; }

}  // namespace fieldprint
