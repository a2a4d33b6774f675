// One line of a data file as what is to be learned from it. Shapes, told apart by their keys:
//   {"messages": [{"role", "content", ...}], "tools": [...]}    as the OpenAI API has them
//   {"prompt": ..., "completion": ...}                          texts, or lists of messages
//   {"conversations": [{"from", "value"}], "system": "..."}     ShareGPT
//   {"text": "..."}                                             a document, every token of it
// docs/training.md lists the fields. A row is input from outside: whatever is wrong with it is a RowError, and the rows
// behind it go on.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fieldprint/chat.h"

namespace fieldprint {

enum class RowFault {
  kUtf8,      // bytes that are not UTF-8
  kJson,      // no JSON object
  kShape,     // none of the shapes above, or a field of a wrong type
  kRole,      // a role that nobody knows
  kEmpty,     // no message, or no text
  kMasked,    // nothing that the model is to learn
  kTemplate,  // the chat template refuses it, or its answers cannot be found in what the template makes of it
  kTooLong,   // nothing that is learned lies within the longest document
  // Of a teacher's rows (teacher_examples.h):
  kNoAnswer,       // it failed, or what it said is not whole
  kForeignIds,     // its token ids are of another vocabulary, or may be
  kNoTokens,       // it did not say what is to be learned: token ids, probabilities
  kProbabilities,  // those beside the rows are not the row's
};
inline constexpr int kRowFaults = 12;
std::string_view row_fault_name(RowFault fault);  // "not UTF-8"

struct RowError {
  RowFault fault;
  std::string detail;  // a sentence, without the row
};

struct Row {
  // A conversation; learned[i]: what message i says is learned. An assistant's alone are.
  std::vector<Message> messages;
  std::vector<bool> learned;
  std::string tools;  // of tools_from_json(); "": none
  // Where there are no messages: `text` is learned as what follows `before`.
  std::string before, text;
};

struct RowOptions {
  bool raw = false;  // prompts and completions that are texts stay as they are; else they are a user's and an answer
};

Row text_row(std::string_view text);  // of {"text": text}; throws RowError

// Throws RowError.
Row read_row(std::string_view line, const RowOptions& options = {});

}  // namespace fieldprint
