// IFEval: Zhou et al. 2023, https://arxiv.org/abs/2311.07911. Prompts with instructions that a program can verify.
#include <algorithm>

#include "eval/instructions/instruction.h"
#include "eval/task.h"
#include "fieldprint/error.h"

namespace fieldprint {
namespace {

std::vector<InstructionCheck> checks_of(const Document& document) {
  const std::vector<std::string> ids = texts_member(document, "instruction_id_list");
  const Document& arguments = member(document, "kwargs");
  if (ids.empty()) throw Error(ErrorKind::kBadInput, "'instruction_id_list' is empty");
  if (!arguments.is_array() || arguments.size() != ids.size())
    throw Error(ErrorKind::kBadInput, "'kwargs' has not one entry for each of 'instruction_id_list'");
  std::vector<InstructionCheck> checks;
  for (size_t i = 0; i < ids.size(); ++i) checks.push_back(instruction_check(ids[i], arguments[i]));
  return checks;
}

// That all of a row can be checked is seen before anything is generated.
Document checked(Document row) {
  for (const char* name : {"instruction_id_list", "kwargs"}) {
    if (member(row, name).is_string()) row[name] = parse_python_value(text_member(row, name));  // of a CSV file
  }
  text_member(row, "prompt");
  checks_of(row);
  return row;
}

std::vector<EvalScore> score(const Document& document, std::string_view answer) {
  const std::vector<InstructionCheck> checks = checks_of(document);
  std::vector<EvalScore> scores;
  const auto add = [&](const std::string& how, const std::vector<bool>& follows) {
    const auto count = static_cast<double>(std::count(follows.begin(), follows.end(), true));
    const auto all = static_cast<double>(follows.size());
    const std::string read(answer);
    scores.push_back({.metric = "prompt_level_" + how + "_acc", .value = count == all ? 1.0 : 0.0, .read = read});
    scores.push_back({.metric = "inst_level_" + how + "_acc", .value = count, .weight = all, .read = read});
  };
  add("strict", follow_strict(checks, answer));
  add("loose", follow_loose(checks, answer));
  return scores;
}

}  // namespace

std::vector<EvalTask> ifeval_tasks() {
  EvalTask task;
  task.name = "ifeval";
  task.version = 4;
  task.kind = EvalKind::kGenerate;
  task.metrics = {{.name = "prompt_level_strict_acc"},
                  {.name = "inst_level_strict_acc"},
                  {.name = "prompt_level_loose_acc"},
                  {.name = "inst_level_loose_acc"}};
  task.note = "languages by word profiles of ours in place of langdetect, sentences without NLTK's learnt tables";
  task.generation = {.until = {}, .max_tokens = 1280};
  task.question = [](const Document& document) { return text_member(document, "prompt"); };
  task.target = [](const Document&) { return std::string("0"); };  // as the harness has it: there is none
  task.score = score;
  task.data = {
      .dataset = "google/IFEval",
      .source =
          "input_data.jsonl is in instruction_following_eval/data of "
          "https://github.com/google-research/google-research",
      .licence = "Apache-2.0",
      .split = "train",  // its only one
      .shots_split = "",
      .files = {"instruction_following_eval/data/input_data.jsonl", "ifeval/input_data.jsonl", "input_data.jsonl"},
      .document = [](Document row) { return std::optional(checked(std::move(row))); }};
  return {task};
}

}  // namespace fieldprint
