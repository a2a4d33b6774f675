// What a student learns of a teacher's row (distilled.h): the answer, the thought and the answer, the very tokens that
// the teacher wrote, or its distribution at each of them (Hinton et al. 2015; the k likeliest tokens and the rest as
// one).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fieldprint/chat_template.h"
#include "fieldprint/tokenizer.h"
#include "train/distilled.h"
#include "train/example.h"
#include "train/mask.h"

namespace fieldprint {

enum class Learn {
  kAnswer,  // the student's template writes it; the thought is dropped
  kTrace,   // thought and answer; a template that writes no thoughts gets it within <think> and </think>
  kIds,     // what the teacher wrote, behind the prompt as it was asked, both as its own token ids
  kTop,     // the same tokens, and of each the probabilities in X.top
};
std::optional<Learn> find_learn(std::string_view name);  // "answer", "trace", "ids", "top-k"

class TeacherLessons {
 public:
  // `tokenizer` and `chat_template` (nullptr: there is none) are the student's and outlive it. `rows`: the file's path,
  // beside which X.top is looked for with kTop. Throws Error kIo, kBadFile.
  TeacherLessons(Learn learn, const Tokenizer& tokenizer, const ChatTemplate* chat_template, const std::string& rows);

  // From any thread. Throws RowError: kNoAnswer, kForeignIds, kNoTokens, kProbabilities, kShape, and as mask_row().
  std::vector<Example> examples(const TeacherRow& row, const MaskOptions& options, MaskNotes& notes) const;
  std::string fingerprint() const;  // of all that examples depend on beside row, vocabulary and template

 private:
  std::vector<Example> of_text(const TeacherRow& row, const MaskOptions& options, MaskNotes& notes) const;
  Example of_ids(const TeacherRow& row) const;
  void add_distribution(const TeacherRow& row, Example& example) const;
  void require_vocabulary(const TeacherRow& row) const;

  Learn learn_;
  const Tokenizer& tokenizer_;
  const ChatTemplate* chat_template_;
  std::string vocabulary_;  // hash of the student's, where ids are learned
  std::string template_;    // hash of its text; "" = there is none
  std::unique_ptr<TopFile> top_;
};

}  // namespace fieldprint
