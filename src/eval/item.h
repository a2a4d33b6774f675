// One document on its way through an evaluation: what is asked, what came out of the model, what it scored.
#pragma once

#include <string>
#include <vector>

#include "eval/generate.h"
#include "eval/likelihood.h"
#include "eval/requests.h"
#include "eval/task.h"

namespace fieldprint {

// What the model said: all that scores need, so that a run resumes from it.
struct EvalOutcome {
  std::vector<RequestScore> scores;  // of the choices, or of a text's windows
  std::vector<int> tokens;           // that each is over
  EvalAnswer answer;                 // of a generation task
  bool written = false;              // it is the answer that counts, not the scores
};

struct EvalWork {
  int id = 0;  // the document's number, from 0
  const Document* document = nullptr;
  // Of multiple choice: one pair a choice; rolling: one, whose context is "".
  std::vector<TextPair> pairs;
  EvalChoices choices;
  // The pairs as tokens, or a text's windows; they are dropped once they are scored.
  std::vector<ScoreRequest> requests;
  EvalPrompt prompt;   // of generation
  std::string target;  // as samples name what is right
  std::string key;     // that the log knows it by
  bool done = false;
  EvalOutcome outcome;
  std::vector<EvalScore> scores;
};

}  // namespace fieldprint
