// WinoGrande: Sakaguchi et al. 2019, https://arxiv.org/abs/1907.10641. Whom a pronoun means: the sentence is read with
// either name, and scored by how likely what comes behind the name is (partial scoring, Trinh and Le 2018).
#include "eval/tasks/question_forms.h"
#include "fieldprint/error.h"

namespace fieldprint {
namespace {

EvalChoices ask(const Document& document) {
  const std::string& sentence = text_member(document, "sentence");
  const size_t blank = sentence.find('_');
  if (blank == std::string::npos) throw Error(ErrorKind::kBadInput, "the sentence has no '_'");
  const std::string before = sentence.substr(0, blank);
  return {{before + text_member(document, "option1"), before + text_member(document, "option2")},
          {python_strip(sentence.substr(blank + 1))},
          choice_index(integer_member(document, "answer") - 1, 2)};
}

// llama-perplexity joins the parts as they stand.
EvalChoices ask_llama_cpp(const Document& document) {
  EvalChoices choices = ask(document);
  const std::string& sentence = text_member(document, "sentence");
  choices.continuations = {sentence.substr(sentence.find('_') + 1)};
  return choices;
}

Document with_answer(Document row) {
  const char* name = has_member(row, "answer") ? "answer" : "label";  // "label": of dev-labels.lst
  row["answer"] = std::to_string(integer_member(row, name));
  if (std::string_view(name) == "label") row.erase("label");
  return row;
}

}  // namespace

std::vector<EvalTask> winogrande_tasks() {
  EvalTask task;
  task.name = "winogrande";
  task.metrics = accuracy_metrics(false);
  task.choices = ask;
  task.llama_cpp_choices = ask_llama_cpp;
  task.shots_may_hold_document = false;
  task.data = {.dataset = "allenai/winogrande winogrande_xl",
               .source = "dev.jsonl is in the archive at https://winogrande.allenai.org",
               .licence = "CC BY",
               .split = "validation",
               .files = {"winogrande_1.1/dev.jsonl", "winogrande/dev.jsonl"},
               .shots_files = {"winogrande_1.1/train_xl.jsonl", "winogrande/train_xl.jsonl"},
               .document = [](Document row) { return std::optional(with_answer(std::move(row))); }};
  return {task};
}

}  // namespace fieldprint
