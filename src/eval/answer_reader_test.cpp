#include "eval/answer_reader.h"

#include <gtest/gtest.h>

#include "support/tiny_vocabulary.h"

namespace fieldprint {
namespace {

// What is read of an answer that comes in pieces of so many bytes.
EvalAnswer read(const ChatFormat* format, const std::string& answer, const std::vector<std::string>& until,
                size_t piece) {
  AnswerReader reader(format, until);
  Generation so_far;
  for (size_t at = 0; at < answer.size(); at += piece) {
    so_far.text = answer.substr(0, std::min(at + piece, answer.size()));
    so_far.tokens.push_back(0);
    if (!reader.take(so_far)) break;
  }
  return reader.finish();
}

class EvalAnswerReader : public testing::Test {
 protected:
  std::unique_ptr<Tokenizer> tokenizer_ = tiny_byte_level("llama-bpe").load();
  ChatTemplate may_think_{"{% for m in messages %}{{ m.content }}{% endfor %}{# </think> #}"};
  ChatTemplate thinks_{
      "{% for m in messages %}{{ m.content }}{% endfor %}{% if add_generation_prompt %}<think>\n{% endif %}{# </think> "
      "#}"};
  ChatFormat may_{*tokenizer_, may_think_};
  ChatFormat opened_{*tokenizer_, thinks_};
};

TEST_F(EvalAnswerReader, LeavesThoughtsOutBeforeItStops) {
  ASSERT_TRUE(opened_.opens_thought());
  ASSERT_FALSE(may_.opens_thought());
  for (const size_t piece : {1u, 3u, 100u}) {
    SCOPED_TRACE(piece);
    const std::string thought = "<think>\nQuestion: how?\n\n</think>\n\n";
    EvalAnswer answer = read(&may_, thought + "It is 4.\n\nQuestion: 2", {"Question:", "\n\n"}, piece);
    EXPECT_EQ(answer.text, "It is 4.");
    EXPECT_FALSE(answer.unclosed);
    answer = read(&opened_, "Question: how?\n\n</think>\n 4Question: 2", {"Question:"}, piece);
    EXPECT_EQ(answer.text, "4");
    answer = read(&may_, "No thought. Question", {"Question:"}, piece);
    EXPECT_EQ(answer.text, "No thought. Question") << "a stop string's beginning is text";
    EXPECT_EQ(answer.raw, "No thought. Question");
  }
}

TEST_F(EvalAnswerReader, TakesAThoughtThatNeverEndsForNoAnswer) {
  for (const size_t piece : {1u, 100u}) {
    SCOPED_TRACE(piece);
    EvalAnswer answer = read(&may_, "<think>The answer is (B). I", {}, piece);
    EXPECT_EQ(answer.text, "");
    EXPECT_TRUE(answer.unclosed);
    EXPECT_EQ(answer.raw, "<think>The answer is (B). I");
    answer = read(&opened_, "The answer is (B)", {}, piece);
    EXPECT_EQ(answer.text, "");
    EXPECT_TRUE(answer.unclosed);
    answer = read(&may_, "<think>x</think>", {}, piece);
    EXPECT_EQ(answer.text, "");
    EXPECT_FALSE(answer.unclosed) << "it ended, and nothing was said";
    answer = read(&may_, "<think>", {}, piece);
    EXPECT_TRUE(answer.unclosed);
    answer = read(&may_, "", {}, piece);
    EXPECT_FALSE(answer.unclosed);
  }
}

TEST_F(EvalAnswerReader, SaysWhenNothingMoreCounts) {
  AnswerReader reader(&may_, {"END"});
  Generation so_far;
  so_far.text = "a EN";
  EXPECT_TRUE(reader.take(so_far));
  so_far.text = "a END b";
  EXPECT_FALSE(reader.take(so_far));
  EXPECT_EQ(reader.finish().text, "a ");
}

TEST_F(EvalAnswerReader, TakesPlainTextAsItIs) {
  EXPECT_EQ(read(nullptr, " <think>x</think> y", {"x"}, 2).text, " <think>x</think> y");
}

}  // namespace
}  // namespace fieldprint
