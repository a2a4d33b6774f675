// PIQA: Bisk et al. 2019, https://arxiv.org/abs/1911.11641. Which of two ways of doing something works.
#include "eval/tasks/question_forms.h"

namespace fieldprint {
namespace {

EvalChoices ask(const Document& document) {
  return {{"Question: " + text_member(document, "goal") + "\nAnswer:"},
          {text_member(document, "sol1"), text_member(document, "sol2")},
          choice_index(integer_member(document, "label"), 2)};
}

Document with_label(Document row) {
  row["label"] = integer_member(row, "label");  // a text in CSV files
  return row;
}

}  // namespace

std::vector<EvalTask> piqa_tasks() {
  EvalTask task;
  task.name = "piqa";
  task.metrics = accuracy_metrics(true);
  task.choices = task.llama_cpp_choices = ask;
  task.shots_may_hold_document = false;
  task.data = {.dataset = "baber/piqa",
               .source = "valid.jsonl and valid-labels.lst are at https://yonatanbisk.com/piqa/data",
               .licence = "AFL-3.0",
               .split = "validation",
               .files = {"piqa/valid.jsonl"},
               .shots_files = {"piqa/train.jsonl"},
               .document = [](Document row) { return std::optional(with_label(std::move(row))); }};
  return {task};
}

}  // namespace fieldprint
