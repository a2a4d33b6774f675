// HellaSwag: Zellers et al. 2019, https://arxiv.org/abs/1905.07830. Which ending goes on from here.
#include "eval/tasks/question_forms.h"
#include "jinja/unicode.h"

namespace fieldprint {
namespace {

std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  for (size_t at; (at = text.find(from)) != text.npos; text.remove_prefix(at + from.size()))
    out.append(text.substr(0, at)).append(to);
  return out.append(text);
}

// The WikiHow half has marks such as [header], [title] and [step]. The strip comes first, so that an ending that began
// with a mark keeps the space behind it.
std::string clean(std::string_view raw) {
  const std::string text = replaced(python_strip(raw), " [title]", ". ");
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t end = text[at] == '[' ? text.find_first_of("]\n", at) : text.npos;  // a mark lies within its line
    if (end != text.npos && text[end] == ']') at = end + 1;
    else out += text[at++];
  }
  return replaced(out, "  ", " ");
}

std::vector<std::string> cleaned(std::vector<std::string> texts) {
  for (std::string& text : texts) text = clean(text);
  return texts;
}

// As the harness has it: the row and what is asked, which its samples and hashes hold.
Document asked(Document row) {
  if (has_member(row, "endings") && row["endings"].is_string())
    row["endings"] = parse_python_value(text_member(row, "endings"));
  const auto endings = texts_member(row, "endings");
  const int gold = choice_index(integer_member(row, "label"), static_cast<int64_t>(endings.size()));
  row["label"] = std::to_string(gold);
  const bool second = has_member(row, "ctx_b") && !row["ctx_b"].is_null();
  row["query"] = clean(text_member(row, "activity_label") + ": " + text_member(row, "ctx_a") + " " +
                       (second ? jinja::to_capital(text_member(row, "ctx_b")) : ""));
  row["choices"] = cleaned(endings);
  row["gold"] = gold;
  return row;
}

EvalChoices ask(const Document& document) {
  return {{text_member(document, "query")},
          texts_member(document, "choices"),
          static_cast<int>(integer_member(document, "gold"))};
}

// The context as it stands in the data: nothing is capitalised.
EvalChoices ask_llama_cpp(const Document& document) {
  EvalChoices choices = ask(document);
  choices.contexts = {clean(text_member(document, "activity_label") + ": " + text_member(document, "ctx"))};
  return choices;
}

}  // namespace

std::vector<EvalTask> hellaswag_tasks() {
  EvalTask task;
  task.name = "hellaswag";
  task.metrics = accuracy_metrics(true);
  task.choices = ask;
  task.llama_cpp_choices = ask_llama_cpp;
  task.shots_may_hold_document = false;
  task.data = {.dataset = "Rowan/hellaswag",
               .source = "hellaswag_val.jsonl is at https://github.com/rowanz/hellaswag/tree/master/data",
               .licence = "MIT",
               .split = "validation",
               .files = {"hellaswag_val.jsonl"},
               .shots_files = {"hellaswag_train.jsonl"},
               .document = [](Document row) { return std::optional(asked(std::move(row))); }};
  return {task};
}

}  // namespace fieldprint
