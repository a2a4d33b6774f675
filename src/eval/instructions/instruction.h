// The verifiable instructions of IFEval (Zhou et al., "Instruction-Following Evaluation for Large Language Models",
// 2023), with the meaning that lm-evaluation-harness 0.4.13 gives each. An instruction is a function in a file of this
// folder and a row in instructions.def.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "eval/document.h"

namespace fieldprint {

// Whether a response follows the instruction. From any thread.
using InstructionCheck = std::function<bool(std::string_view response)>;

// What a data set says of an instruction. The harness takes null, "" and empty lists for missing, and draws a value at
// random for what is missing; here that is an Error kBadInput, since such a score could not be repeated.
class InstructionArguments {
 public:
  explicit InstructionArguments(const Document& values) : values_(values) {}

  size_t count(std::string_view name) const;  // a number, not negative
  std::string text(std::string_view name) const;
  std::vector<std::string> texts(std::string_view name) const;
  // "at least": n >= bound, "less than": n < bound; where `relation` is missing, an Error.
  std::function<bool(size_t n)> relation(std::string_view relation, std::string_view bound) const;

 private:
  const Document& find(std::string_view name) const;
  const Document& values_;
};

struct InstructionType {
  std::string_view id;  // "keywords:existence"
  InstructionCheck (*make)(const InstructionArguments&);
};

// All rows of instructions.def.
const std::vector<InstructionType>& instruction_types();

// Throws Error kBadInput: an unknown id, a missing argument, a keyword that is no regular expression.
InstructionCheck instruction_check(std::string_view id, const Document& arguments);

// What IFEval scores: for each of a document's instructions whether the response follows it. An empty one follows none.
std::vector<bool> follow_strict(const std::vector<InstructionCheck>& checks, std::string_view response);
// The same where it is enough that one of eight readings does: without its first line, its last, both, and each of
// these without asterisks.
std::vector<bool> follow_loose(const std::vector<InstructionCheck>& checks, std::string_view response);

}  // namespace fieldprint
