// Tasks of the lab: sequences of tokens of which some can be known from what stands before them.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "fieldprint/tokenizer.h"
#include "train/example.h"

namespace fieldprint {

struct TaskSequence {
  std::vector<TokenId> tokens;
  std::vector<bool> asked;  // [tokens]: this token follows from those before it, so accuracy is counted here
};

struct TaskRow {
  std::string_view name, about;
  int least_length, least_vocabulary;
  TaskSequence (*draw)(Rng& random, int length, int vocabulary);
};
std::span<const TaskRow> task_rows();  // of tasks.def

// Where a sequence is from: a text has a part that nothing is trained on.
enum class TaskPart { kTraining, kHeldOut };

// What draws sequences of one length and vocabulary. Immutable; from any thread.
class Task {
 public:
  virtual ~Task() = default;
  virtual int vocabulary() const = 0;
  virtual TaskSequence draw(Rng& random, TaskPart part) const = 0;
};

// A row of tasks.def, at a length and vocabulary. Throws Error kUsage for an unknown name, naming those there are, and
// for a length or vocabulary that is too small.
std::unique_ptr<Task> make_task(std::string_view name, int length, int vocabulary);

// Windows of a text's tokens; all tokens are asked. The last tenth is held out. Throws Error kUsage where a part is
// shorter than a window.
std::unique_ptr<Task> make_text_task(std::vector<TokenId> text, int length, int vocabulary);

// Learned in every place, as published, asked or not.
Example training_example(TaskSequence sequence);
// Counted where it is asked.
Example held_out_example(TaskSequence sequence);

}  // namespace fieldprint
