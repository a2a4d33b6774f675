#include "eval/item_log.h"

#include <gtest/gtest.h>

#include "fieldprint/error.h"
#include "support/temp_home.h"

namespace fieldprint {
namespace {

// A task that asks for written answers; a log keeps all of an answer that figures are made of.
TEST(ItemLog, AnswersComeBackAsTheyWere) {
  const TempHome home;
  EvalTask task;
  task.name = "written";
  task.kind = EvalKind::kGenerate;
  EvalWork work;
  work.key = "k";
  work.outcome.answer = {
      .text = "42\n\"é\"", .raw = "so 42", .cut = true, .unclosed = true, .prompt_tokens = 7, .tokens = 9};
  ItemLog(home.path().string()).add(task, work);
  const ItemLog log(home.path().string());
  const EvalOutcome* known = log.find("k");
  ASSERT_NE(known, nullptr);
  EXPECT_EQ(known->answer.text, work.outcome.answer.text);
  EXPECT_EQ(known->answer.raw, "so 42");
  EXPECT_TRUE(known->answer.cut && known->answer.unclosed);
  EXPECT_EQ(known->answer.prompt_tokens, 7);
  EXPECT_EQ(known->answer.tokens, 9);
  EXPECT_EQ(log.find("another"), nullptr);
  EXPECT_EQ(log.passed_over(), 0);
}

TEST(ItemLog, PassesOverWhatIsNoneOfItsLines) {
  const TempHome home;
  const char* wrong[] = {
      R"({"key": "a", "log_likelihoods": [-1, -2], "greedy": [true], "tokens": [1, 1]})",
      R"({"key": "b", "log_likelihoods": [-1], "greedy": [true], "tokens": [-1]})",
      R"({"key": "c", "log_likelihoods": [null], "greedy": [true], "tokens": [1]})",
      R"({"key": "d", "log_likelihoods": [1e999], "greedy": [true], "tokens": [1]})",
      R"({"key": "e", "log_likelihoods": [-1], "greedy": [true], "tokens": [1e30]})",
      R"({"key": "f", "answer": {"text": "", "raw": "", "cut": false, "unclosed": false, "prompt_tokens": -1, "tokens": 1}})",
      R"({"key": "g", "answer": []})",
      R"([1])",
      R"({"key": "h", "log_lik)",
  };
  std::string text;
  for (const char* line : wrong) text += std::string(line) + "\n";
  write_file(home.path() / "items.jsonl",
             text + R"({"key": "k", "log_likelihoods": [-1], "greedy": [true], "tokens": [1]})");
  const ItemLog log(home.path().string());
  EXPECT_EQ(log.passed_over(), static_cast<int>(std::size(wrong)));
  for (const char* key : {"a", "b", "c", "d", "e", "f", "g", "h"}) EXPECT_EQ(log.find(key), nullptr) << key;
  EXPECT_NE(log.find("k"), nullptr);
}

TEST(ItemLog, NamesAFolderThatCannotBeMade) {
  const TempHome home;
  write_file(home.path() / "file", "");
  const std::string folder = (home.path() / "file" / "out").string();
  try {
    const ItemLog log(folder);
    FAIL();
  } catch (const Error& error) {
    EXPECT_TRUE(std::string(error.what()).starts_with(folder + ": the folder cannot be made")) << error.what();
  }
}

}  // namespace
}  // namespace fieldprint
