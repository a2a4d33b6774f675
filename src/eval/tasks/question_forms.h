// What several of the multiple-choice sets have in common.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "eval/task.h"

namespace fieldprint {

// {"question": {"stem", "choices": [{"text", "label"}]}, ...}, as AI2 publishes ARC and OpenBookQA, becomes what the
// hub has: `stem_name`, then choices {"text": [...], "label": [...]}. Rows of the hub's form stay as they are, but for
// choices that a CSV file holds as text. Throws Error kBadInput.
Document flat_question(Document row, const std::string& stem_name);

// The place of the answer's letter or digit among the labels. Throws Error kBadInput where it has none.
int answer_index(const Document& document, const std::string& answer);

// A number that must name one of `count` choices. Throws Error kBadInput.
int choice_index(int64_t number, int64_t count);

std::string python_strip(std::string_view text);  // str.strip()

std::vector<EvalMetric> accuracy_metrics(bool normalised);  // acc, and acc_norm where the task has it

}  // namespace fieldprint
