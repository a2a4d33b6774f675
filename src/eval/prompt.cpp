#include "eval/prompt.h"

#include <fmt/format.h>

#include <algorithm>

#include "fieldprint/error.h"
#include "jinja/unicode.h"

namespace fieldprint {
namespace {

bool is_space_at(std::string_view text, bool last) {
  size_t at = last ? text.size() : 0;
  return jinja::is_space(last ? jinja::decode_before(text, at) : jinja::decode_at(text, at));
}

// The delimiter comes between where neither brings white space of its own.
std::string joined(const std::string& before, const std::string& after, const std::string& delimiter) {
  if (before.empty() || after.empty()) return before + after;
  return before + (is_space_at(before, true) || is_space_at(after, false) ? "" : delimiter) + after;
}

struct Turn {
  Message message;
  std::string behind;  // what follows it in plain text
};

}  // namespace

EvalPrompts::EvalPrompts(const EvalTask& task, EvalPromptOptions options, std::vector<Document> examples)
    : task_(task), options_(std::move(options)), examples_(std::move(examples)), random_(options_.seed) {
  if (static_cast<size_t>(options_.shots) > examples_.size()) {
    throw Error(ErrorKind::kUsage,
                fmt::format("{} few-shot examples of {} are asked for; there are {}", options_.shots, task.name,
                            examples_.size()),
                "--fewshot", "a smaller number, or a file with more rows");
  }
}

std::vector<const Document*> EvalPrompts::drawn(const Document& document) {
  std::vector<const Document*> chosen;
  const auto count = static_cast<size_t>(options_.shots);
  if (count == 0) return chosen;
  const bool leave_out = !task_.shots_may_hold_document;
  const auto is_document = [&](const Document* example) { return leave_out && *example == document; };
  std::vector<const Document*> pool;
  for (const Document& example : examples_) pool.push_back(&example);
  if (task_.shots_choice == EvalShots::kFirst) {
    std::erase_if(pool, is_document);
    chosen = pool;
  } else {
    for (const size_t place : random_.sample(pool.size(), count + (leave_out ? 1 : 0))) chosen.push_back(pool[place]);
    std::erase_if(chosen, is_document);
    if (chosen.size() < count) {  // the data holds it twice, and both were drawn
      std::erase_if(pool, is_document);
      chosen.clear();
      for (const size_t place : random_.sample(pool.size(), count)) chosen.push_back(pool[place]);
    }
  }
  if (chosen.size() < count)
    throw Error(ErrorKind::kUsage, fmt::format("there are only {} examples beside the document", chosen.size()),
                "--fewshot");
  chosen.resize(count);
  return chosen;
}

EvalShot EvalPrompts::shot(const Document& example) const {
  if (task_.shot) return task_.shot(example);
  if (task_.question) return {task_.question(example), task_.target(example)};
  const EvalChoices choices = task_.choices(example);
  const auto of = [&](const std::vector<std::string>& texts) {
    return texts[texts.size() == 1 ? 0 : static_cast<size_t>(choices.gold)];
  };
  return {of(choices.contexts), of(choices.continuations)};
}

std::vector<std::string> EvalPrompts::contexts(const Document& document, const std::vector<std::string>& questions) {
  std::vector<Turn> before;
  const std::string system = joined(options_.system, task_.description, task_.shots_delimiter);
  if (!system.empty()) before.push_back({{"system", system}, ""});
  for (const Document* example : drawn(document)) {
    const EvalShot each = shot(*example);
    const bool answered = !each.answer.empty();
    before.push_back({{"user", each.question}, answered ? task_.delimiter : ""});
    if (answered) before.push_back({{"assistant", each.answer}, task_.shots_delimiter});
  }
  std::vector<std::string> contexts;
  for (const std::string& question : questions) {
    std::vector<Turn> turns = before;
    turns.push_back({{"user", question}, ""});
    std::vector<Message> messages;
    std::string text;
    for (const Turn& turn : turns) {
      const bool apart = options_.multiturn || turn.message.role == "system";
      if (options_.chat != nullptr && apart) messages.push_back(turn.message);
      else text += turn.message.content + turn.behind;
    }
    if (options_.chat != nullptr && !options_.multiturn) messages.push_back({"user", text});
    contexts.push_back(options_.chat != nullptr ? options_.chat->text(messages) : text);
  }
  return contexts;
}

}  // namespace fieldprint
