// OpenBookQA: Mihaylov et al. 2018, https://arxiv.org/abs/1809.02789. Elementary science, without the book here.
#include "eval/tasks/question_forms.h"

namespace fieldprint {
namespace {

EvalChoices ask(const Document& document) {
  const std::string& answer = text_member(document, "answerKey");
  return {{text_member(document, "question_stem")},
          texts_member(document, "choices.text"),
          answer_index(document, answer.substr(std::min(answer.find_first_not_of(" \t\n"), answer.size())))};
}

}  // namespace

std::vector<EvalTask> openbookqa_tasks() {
  EvalTask task;
  task.name = "openbookqa";
  task.metrics = accuracy_metrics(true);
  task.choices = task.llama_cpp_choices = ask;
  task.data = {.dataset = "allenai/openbookqa main",
               .source = "Data/Main/test.jsonl is in the archive at https://allenai.org/data/open-book-qa",
               .licence = "",
               .split = "test",
               .files = {"OpenBookQA/test.jsonl", "Data/Main/test.jsonl"},
               .shots_files = {"OpenBookQA/train.jsonl", "Data/Main/train.jsonl"},
               .document = [](Document row) { return std::optional(flat_question(std::move(row), "question_stem")); }};
  return {task};
}

}  // namespace fieldprint
