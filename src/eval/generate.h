// Runs a generation task's prompts on a model, many at once: what beginnings they share is computed once.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "fieldprint/model.h"
#include "fieldprint/session.h"

namespace fieldprint {

struct EvalPrompt {
  std::string text;                // whole: description, few-shot examples, chat template
  bool templated = false;          // by the model's chat template: reasoning is looked for in the answer
  std::vector<std::string> until;  // the answer, without its reasoning, ends before the first of these
  int max_tokens = 256;
};

struct EvalAnswer {
  std::string text;       // what is scored: without reasoning, cut at a stop string; "" where the thought never ended
  std::string raw;        // all that the model wrote
  bool cut = false;       // it ended at max_tokens, or at the end of the context
  bool unclosed = false;  // the thought did not end
  int prompt_tokens = 0;
  int tokens = 0;  // of the answer
};

struct EvalGenerateOptions {
  SessionOptions session;
  int streams = 0;  // answers at a time; 0: what suits the machine. Never changes an answer
  float temperature = 0;
  uint64_t seed = 0;  // of the sampler, where the temperature is above 0
};

// done(i, answer of prompts[i]) as each ends, in any order, on the calling thread; false: stop in order, which is an
// Error kLimit. A prompt that leaves no room for max_tokens is cut on its left, as the harness does. Throws as
// Session::generate().
void generate_answers(const std::shared_ptr<const Model>& model, std::span<const EvalPrompt> prompts,
                      const EvalGenerateOptions& options,
                      const std::function<bool(size_t index, EvalAnswer answer)>& done);

}  // namespace fieldprint
