#include "eval/tasks/question_forms.h"

#include <fmt/format.h>

#include <algorithm>

#include "fieldprint/error.h"
#include "jinja/unicode.h"

namespace fieldprint {

Document flat_question(Document row, const std::string& stem_name) {
  if (has_member(row, "question.stem")) {
    Document choices = {{"text", Document::array()}, {"label", Document::array()}};
    for (const Document& choice : member(row, "question.choices")) {
      choices["text"].push_back(text_member(choice, "text"));
      choices["label"].push_back(text_member(choice, "label"));
    }
    Document flat = Document::object();
    for (const auto& [key, value] : row.items()) {
      if (key != "question") {
        flat[key] = value;
        continue;
      }
      flat[stem_name] = text_member(row, "question.stem");
      flat["choices"] = choices;
    }
    row = std::move(flat);
  }
  if (has_member(row, "choices") && row["choices"].is_string())
    row["choices"] = parse_python_value(text_member(row, "choices"));
  const size_t texts = texts_member(row, "choices.text").size();
  if (texts < 2 || texts != texts_member(row, "choices.label").size())
    throw Error(ErrorKind::kBadInput, "there must be two choices or more, each with its label");
  return row;
}

int answer_index(const Document& document, const std::string& answer) {
  const auto labels = texts_member(document, "choices.label");
  const auto found = std::find(labels.begin(), labels.end(), answer);
  if (found == labels.end())
    throw Error(ErrorKind::kBadInput, fmt::format("the answer '{}' is none of the choices' labels", answer));
  return static_cast<int>(found - labels.begin());
}

int choice_index(int64_t number, int64_t count) {
  if (number < 0 || number >= count)
    throw Error(ErrorKind::kBadInput, fmt::format("there is no choice {} of {}", number, count), {},
                "files of a hidden test split have no answers; use the validation split");
  return static_cast<int>(number);
}

std::string python_strip(std::string_view text) {
  size_t begin = 0, end = text.size();
  for (size_t next = begin; begin < end && jinja::is_space(jinja::decode_at(text, next)); begin = next) continue;
  for (size_t before = end; end > begin && jinja::is_space(jinja::decode_before(text, before)); end = before) continue;
  return std::string(text.substr(begin, end - begin));
}

std::vector<EvalMetric> accuracy_metrics(bool normalised) {
  std::vector<EvalMetric> metrics = {{"acc"}};
  if (normalised) metrics.push_back({"acc_norm"});
  return metrics;
}

}  // namespace fieldprint
