// BoolQ: Clark et al. 2019, https://arxiv.org/abs/1905.10044, in the form of SuperGLUE. Yes-or-no questions about a
// passage.
#include "eval/tasks/question_forms.h"

namespace fieldprint {
namespace {

EvalChoices ask(const Document& document) {
  return {{text_member(document, "passage") + "\nQuestion: " + text_member(document, "question") + "?\nAnswer:"},
          {"no", "yes"},
          choice_index(integer_member(document, "label"), 2)};
}

// The authors' files have "answer" in place of "label"; both may be true and false, in CSV files as texts.
Document with_label(Document row) {
  const char* name = has_member(row, "label") ? "label" : "answer";
  const Document& label = member(row, name);
  int64_t number = 0;
  if (label.is_string() && (label == "True" || label == "true")) number = 1;
  else if (!(label.is_string() && (label == "False" || label == "false"))) number = integer_member(row, name);
  row["label"] = number;
  return row;
}

}  // namespace

std::vector<EvalTask> boolq_tasks() {
  EvalTask task;
  task.name = "boolq";
  task.version = 2;
  task.metrics = accuracy_metrics(false);
  task.choices = task.llama_cpp_choices = ask;
  task.shots_may_hold_document = false;
  task.data = {.dataset = "aps/super_glue boolq",
               .source = "val.jsonl is in BoolQ.zip at https://super.gluebenchmark.com/tasks",
               .licence = "CC BY-SA 3.0",
               .split = "validation",
               .files = {"BoolQ/val.jsonl"},
               .shots_files = {"BoolQ/train.jsonl"},
               .document = [](Document row) { return std::optional(with_label(std::move(row))); }};
  return {task};
}

}  // namespace fieldprint
