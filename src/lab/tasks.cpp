#include "lab/tasks.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "fieldprint/error.h"

namespace fieldprint {
namespace {

TokenId token_below(Rng& random, int n) { return static_cast<TokenId>(random.below(n)); }

std::vector<TokenId> random_tokens(Rng& random, int count, int vocabulary) {
  std::vector<TokenId> tokens(static_cast<size_t>(count));
  for (TokenId& token : tokens) token = token_below(random, vocabulary);
  return tokens;
}

// `count` of 0 .. n-1, each once, in random order (Fisher and Yates).
std::vector<TokenId> some_of(Rng& random, int count, int n) {
  std::vector<TokenId> all(static_cast<size_t>(n));
  std::iota(all.begin(), all.end(), 0);
  for (int i = 0; i < count; ++i)
    std::swap(all[static_cast<size_t>(i)], all[static_cast<size_t>(i + random.below(n - i))]);
  all.resize(static_cast<size_t>(count));
  return all;
}

void push(TaskSequence& to, TokenId token, bool asked) {
  to.tokens.push_back(token);
  to.asked.push_back(asked);
}

TaskSequence copy(Rng& random, int length, int vocabulary) {
  TaskSequence made;
  for (const TokenId token : random_tokens(random, length / 2, vocabulary)) push(made, token, false);
  for (int i = length / 2; i < length; ++i) push(made, made.tokens[static_cast<size_t>(i - length / 2)], true);
  return made;
}

// The first token of the repetition cannot be known: nothing says that it begins.
TaskSequence induction(Rng& random, int length, int vocabulary) {
  const int period = length / 4 + static_cast<int>(random.below(length / 2 - length / 4 + 1));
  TaskSequence made;
  for (const TokenId token : random_tokens(random, period, vocabulary)) push(made, token, false);
  for (int i = period; i < length; ++i) push(made, made.tokens[static_cast<size_t>(i - period)], i > period);
  return made;
}

TaskSequence mirror(Rng& random, int length, int vocabulary) {
  TaskSequence made;
  const int half = length / 2;
  for (const TokenId token : random_tokens(random, half, vocabulary)) push(made, token, false);
  for (int i = half; i < 2 * half; ++i) push(made, made.tokens[static_cast<size_t>(2 * half - 1 - i)], true);
  return made;
}

// Keys are of the lower half of the vocabulary, each once; values of the upper.
TaskSequence associative_recall(Rng& random, int length, int vocabulary) {
  const int pairs = std::min(length / 4, vocabulary / 2);
  const std::vector<TokenId> keys = some_of(random, pairs, vocabulary / 2);
  std::vector<TokenId> values = random_tokens(random, pairs, vocabulary - vocabulary / 2);
  for (TokenId& value : values) value += vocabulary / 2;
  TaskSequence made;
  for (size_t i = 0; i < keys.size(); ++i) push(made, keys[i], false), push(made, values[i], false);
  for (const TokenId i : some_of(random, pairs, pairs)) {
    push(made, keys[static_cast<size_t>(i)], false);
    push(made, values[static_cast<size_t>(i)], true);
  }
  return made;
}

// After Match3 of Sanford, Hsu & Telgarsky 2023. The first numbers are as many as have pairs for half of all sums, so
// that a fair coin can choose each answer; token V-2 says no, V-1 yes.
TaskSequence match3(Rng& random, int length, int vocabulary) {
  const int modulus = vocabulary - 2;
  int first = 2;
  while ((first + 1) * first <= modulus && first + 1 <= length / 2) ++first;
  TaskSequence made;
  for (const TokenId number : random_tokens(random, first, modulus)) push(made, number, false);
  std::vector<bool> matches(static_cast<size_t>(modulus));
  for (int i = 0; i < first; ++i) {
    for (int j = 0; j < i; ++j) {
      const int sum = made.tokens[static_cast<size_t>(i)] + made.tokens[static_cast<size_t>(j)];
      matches[static_cast<size_t>((2 * modulus - sum) % modulus)] = true;
    }
  }
  while (static_cast<int>(made.tokens.size()) + 2 <= length) {
    const bool yes = random.below(2) == 1;
    TokenId number = token_below(random, modulus);
    while (matches[static_cast<size_t>(number)] != yes) number = token_below(random, modulus);
    push(made, number, false);
    push(made, vocabulary - (yes ? 1 : 2), true);
  }
  return made;
}

TaskSequence pointer(Rng& random, int length, int vocabulary) {
  const int values = std::min(length / 2, vocabulary);
  TaskSequence made;
  for (const TokenId token : random_tokens(random, values, vocabulary)) push(made, token, false);
  while (static_cast<int>(made.tokens.size()) + 2 <= length) {
    const TokenId place = token_below(random, values);
    push(made, place, false);
    push(made, made.tokens[static_cast<size_t>(place)], true);
  }
  return made;
}

constexpr TaskRow kRows[] = {
#define LAB_TASK(name, length, vocabulary, about) {#name, about, length, vocabulary, name},
#include "lab/tasks.def"
#undef LAB_TASK
};

class DrawnTask final : public Task {
 public:
  DrawnTask(const TaskRow& row, int length, int vocabulary) : row_(row), length_(length), vocabulary_(vocabulary) {}
  int vocabulary() const override { return vocabulary_; }
  TaskSequence draw(Rng& random, TaskPart) const override { return row_.draw(random, length_, vocabulary_); }

 private:
  const TaskRow& row_;
  int length_, vocabulary_;
};

class TextTask final : public Task {
 public:
  TextTask(std::vector<TokenId> text, int length, int vocabulary)
      : text_(std::move(text)), length_(length), vocabulary_(vocabulary), training_(text_.size() - text_.size() / 10) {
    if (text_.size() / 10 < static_cast<size_t>(length)) {
      throw Error(ErrorKind::kUsage,
                  fmt::format("a text of {} tokens is too short: a tenth of it is held out, which has to hold {}",
                              text_.size(), length));
    }
  }
  int vocabulary() const override { return vocabulary_; }
  TaskSequence draw(Rng& random, TaskPart part) const override {
    const size_t begin = part == TaskPart::kTraining ? 0 : training_;
    const size_t end = part == TaskPart::kTraining ? training_ : text_.size();
    const auto places = static_cast<int64_t>(end - begin) - length_ + 1;
    const auto from = text_.begin() + static_cast<std::ptrdiff_t>(begin) + random.below(places);
    TaskSequence made{{from, from + length_}, std::vector<bool>(static_cast<size_t>(length_), true)};
    made.asked[0] = false;
    return made;
  }

 private:
  std::vector<TokenId> text_;
  int length_, vocabulary_;
  size_t training_;  // tokens; the rest is held out
};

}  // namespace

std::span<const TaskRow> task_rows() { return kRows; }

std::unique_ptr<Task> make_task(std::string_view name, int length, int vocabulary) {
  std::string known;
  for (const TaskRow& row : kRows) {
    known += fmt::format(" {}", row.name);
    if (row.name != name) continue;
    if (length < row.least_length || vocabulary < row.least_vocabulary) {
      throw Error(ErrorKind::kUsage, fmt::format("the task {} takes a length of {} and a vocabulary of {} at least",
                                                 name, row.least_length, row.least_vocabulary));
    }
    return std::make_unique<DrawnTask>(row, length, vocabulary);
  }
  throw Error(ErrorKind::kUsage, fmt::format("there is no task '{}'", name), {}, "tasks:" + known + " text");
}

std::unique_ptr<Task> make_text_task(std::vector<TokenId> text, int length, int vocabulary) {
  return std::make_unique<TextTask>(std::move(text), length, vocabulary);
}

Example training_example(TaskSequence sequence) {
  Example example;
  example.tokens = std::move(sequence.tokens);
  example.weights.assign(example.tokens.size(), 1.0f);
  example.weights[0] = 0;
  return example;
}

Example held_out_example(TaskSequence sequence) {
  Example example;
  example.tokens = std::move(sequence.tokens);
  for (const bool asked : sequence.asked) example.weights.push_back(asked ? 1.0f : 0.0f);
  return example;
}

}  // namespace fieldprint
