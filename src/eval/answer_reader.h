// Takes an answer apart while it comes: what a model thinks is left out, what it says counts up to a stop string.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/stop_strings.h"
#include "eval/generate.h"
#include "fieldprint/chat.h"

namespace fieldprint {

// Of one answer; one thread at a time. Reasoning is taken out first and then the stop strings are looked for, since
// thoughts are full of empty lines and of questions. A thought that never ends leaves an empty answer.
class AnswerReader {
 public:
  // `format`, which must outlive it: of the template that made the prompt; nullptr: nothing is taken out, and nothing
  // is stopped.
  AnswerReader(const ChatFormat* format, const std::vector<std::string>& until);

  // `so_far`: the answer from its beginning, which only grows. False where what follows cannot count any more.
  bool take(const Generation& so_far);
  // After the last take(). Of EvalAnswer, text, raw, unclosed and tokens.
  EvalAnswer finish();

 private:
  void add(const std::vector<ReplyPiece>& pieces);

  const ChatFormat* format_;
  StopStrings stops_;
  std::optional<ReplyStream> stream_;
  EvalAnswer answer_;
  size_t tokens_ = 0;
  bool reasoned_ = false, spoke_ = false;
};

}  // namespace fieldprint
