#include "eval/item_log.h"

#include <gtest/gtest.h>

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
}

}  // namespace
}  // namespace fieldprint
