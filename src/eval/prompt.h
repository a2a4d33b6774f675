// What a document is asked with, as text: description, few-shot examples and question, in plain text or through a chat
// template, as lm-evaluation-harness 0.4.13 puts them together.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "eval/data.h"
#include "eval/python_random.h"
#include "eval/task.h"
#include "fieldprint/chat.h"

namespace fieldprint {

struct EvalPromptOptions {
  int shots = 0;
  uint64_t seed = 1234;              // of the examples' choice
  std::string system = {};           // an instruction before everything
  bool multiturn = false;            // in a chat, examples are turns of their own; else one message holds all
  const ChatFormat* chat = nullptr;  // none: plain text. It outlives the prompts
};

// Of one task. Documents are asked in their order, since the choice of examples goes on from one to the next. One
// thread at a time.
class EvalPrompts {
 public:
  // `examples`: of the split that they are drawn from; may be empty where there are no shots. Throws Error kUsage for
  // more shots than examples.
  EvalPrompts(const EvalTask& task, EvalPromptOptions options, std::vector<Document> examples);

  // For each of `questions` (one, or one a choice) the whole context. Throws as ChatTemplate::render.
  std::vector<std::string> contexts(const Document& document, const std::vector<std::string>& questions);

  bool templated() const { return options_.chat != nullptr; }
  // What stands between a context and its continuation: nothing behind a chat template.
  std::string delimiter() const { return templated() ? "" : task_.delimiter; }

 private:
  std::vector<const Document*> drawn(const Document& document);
  EvalShot shot(const Document& example) const;

  const EvalTask& task_;
  EvalPromptOptions options_;
  std::vector<Document> examples_;
  PythonRandom random_;
};

}  // namespace fieldprint
