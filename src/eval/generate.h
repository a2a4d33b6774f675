// Runs a generation task's prompts on a model, many at once: what beginnings they share is computed once. Greedy where
// the temperature is 0, without any stage of the sampler else; an answer that repeats itself goes on to its end, since
// the harness lets it.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "fieldprint/chat.h"
#include "fieldprint/model.h"
#include "fieldprint/session.h"

namespace fieldprint {

struct EvalPrompt {
  std::string text;                // whole: description, few-shot examples, chat template
  bool templated = false;          // by a chat template: reasoning is looked for in the answer
  std::vector<std::string> until;  // the answer, without its reasoning, ends before the first of these
  int max_tokens = 256;
};

struct EvalAnswer {
  std::string text;       // what is scored: without reasoning, cut at a stop string; "" where the thought never ended
  std::string raw;        // all that the model wrote
  bool cut = false;       // it ended at max_tokens, or at the end of the context
  bool unclosed = false;  // the thought did not end
  int prompt_tokens = 0;
  int reused_tokens = 0;   // of the prompt, known from another's; depends on what ran before and beside it
  int tokens = 0;          // of the answer
  bool shortened = false;  // the prompt lost its beginning
};

struct EvalGenerateOptions {
  SessionOptions session = {};
  int streams = 0;  // answers at a time; 0: what suits the machine. Never changes an answer
  float temperature = 0;
  uint64_t seed = 0;  // of the sampler, the same for each prompt, where the temperature is above 0
  // What made the templated prompts; nullptr: the model's own template as it is. It must outlive the call.
  const ChatFormat* format = nullptr;
};

// done(i, answer of prompts[i]) as each ends, in any order, on the calling thread; false: stop in order, which is an
// Error kLimit. A prompt that leaves no room for max_tokens is cut on its left, as the harness does. Answers are those
// that Session::generate() gives for each prompt alone, whatever runs beside them. Throws Error kUsage where max_tokens
// fills the context or a template is wanted and there is none, else as Session::generate().
void generate_answers(const std::shared_ptr<const Model>& model, std::span<const EvalPrompt> prompts,
                      const EvalGenerateOptions& options,
                      const std::function<bool(size_t index, EvalAnswer answer)>& done);

}  // namespace fieldprint
