#include "eval/generate.h"

#include <gtest/gtest.h>

#include "fieldprint/error.h"
#include "support/tiny_model.h"

namespace fieldprint {
namespace {

std::shared_ptr<const Model> model_of(const TinyModelFile& file, int threads) {
  return Model::load(file.path(), {.threads = threads});
}

std::vector<EvalPrompt> prompts() {
  std::vector<EvalPrompt> all;
  for (int i = 0; i < 9; ++i) {
    all.push_back({.text = "The same beginning of them all. " + std::string(static_cast<size_t>(i), 'x') + "the",
                   .templated = i % 3 == 1,
                   .until = {},
                   .max_tokens = 5 + i});
  }
  return all;
}

std::vector<EvalAnswer> answers(const std::shared_ptr<const Model>& model, const std::vector<EvalPrompt>& asked,
                                const EvalGenerateOptions& options = {}) {
  std::vector<EvalAnswer> all(asked.size());
  size_t count = 0;
  generate_answers(model, asked, options, [&](size_t i, EvalAnswer answer) {
    all[i] = std::move(answer);
    ++count;
    return true;
  });
  EXPECT_EQ(count, asked.size());
  return all;
}

class EvalGenerate : public testing::Test {
 protected:
  TinyModelFile file_{{.context = 128}};
};

TEST_F(EvalGenerate, GivesTheSameAnswersForAnyThreadsAndStreams) {
  const std::vector<EvalPrompt> asked = prompts();
  const std::vector<EvalAnswer> alone = answers(model_of(file_, 1), asked, {.streams = 1});
  for (const auto& [threads, streams] : {std::pair{1, 4}, {3, 0}, {2, 3}}) {
    SCOPED_TRACE(testing::Message() << threads << " threads, " << streams << " streams");
    const std::vector<EvalAnswer> all = answers(model_of(file_, threads), asked, {.streams = streams});
    for (size_t i = 0; i < asked.size(); ++i) {
      EXPECT_EQ(all[i].text, alone[i].text);
      EXPECT_EQ(all[i].tokens, alone[i].tokens);
      EXPECT_EQ(all[i].prompt_tokens, alone[i].prompt_tokens);
      EXPECT_EQ(all[i].cut, alone[i].cut);
    }
  }
}

TEST_F(EvalGenerate, StopsAndCuts) {
  const auto model = model_of(file_, 2);
  EvalPrompt prompt{.text = "the answer", .until = {}, .max_tokens = 40};
  const EvalAnswer whole = answers(model, {prompt})[0];
  ASSERT_GT(whole.text.size(), 4u);
  EXPECT_EQ(whole.tokens, 40) << "no check for loops ends it";
  EXPECT_TRUE(whole.cut);
  prompt.until = {whole.text.substr(2, 2)};
  const EvalAnswer stopped = answers(model, {prompt})[0];
  EXPECT_EQ(stopped.text, whole.text.substr(0, whole.text.find(prompt.until[0])));
  EXPECT_FALSE(stopped.cut);
  EXPECT_LT(stopped.tokens, 40);
}

TEST_F(EvalGenerate, KeepsTheEndOfALongPrompt) {
  const auto model = model_of(file_, 2);
  const std::string end(100, 'y');
  const auto asked = [&](const std::string& text) {
    return std::vector<EvalPrompt>{{.text = text, .until = {}, .max_tokens = 28}};
  };
  const EvalAnswer cut = answers(model, asked(std::string(500, 'x') + end))[0];
  EXPECT_EQ(cut.prompt_tokens, 100);
  EXPECT_EQ(cut.text, answers(model, asked(end))[0].text);
  try {
    answers(model, {{.text = "a", .until = {}, .max_tokens = 128}});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
  }
}

TEST_F(EvalGenerate, ComputesASharedBeginningOnce) {
  TinyModelFile file({.context = 1024});
  const std::string examples(600, 'e');
  const std::vector<EvalPrompt> asked = {{.text = examples + "a", .until = {}, .max_tokens = 2},
                                         {.text = examples + "b", .until = {}, .max_tokens = 2}};
  const std::vector<EvalAnswer> all = answers(model_of(file, 2), asked, {.streams = 1});
  EXPECT_EQ(all[0].reused_tokens, 0);
  EXPECT_GE(all[1].reused_tokens, 512);
  EXPECT_EQ(all[1].prompt_tokens, all[0].prompt_tokens);
}

TEST_F(EvalGenerate, IsStoppedByItsCaller) {
  size_t count = 0;
  try {
    generate_answers(model_of(file_, 2), prompts(), {}, [&](size_t, EvalAnswer) { return ++count < 3; });
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kLimit);
  }
  EXPECT_EQ(count, 3u);
}

// A random model closes no thought that its prompt has opened.
TEST_F(EvalGenerate, HasNoAnswerWhereAThoughtIsCut) {
  const auto model = model_of(file_, 2);
  const ChatTemplate thinking(
      "{% for m in messages %}{{ m.content }}{% endfor %}{% if add_generation_prompt %}<think>\n{% endif %}{# </think> "
      "#}");
  const ChatFormat format(model->tokenizer(), thinking);
  EvalPrompt prompt{.text = "the<think>\n", .templated = true, .until = {}, .max_tokens = 20};
  const EvalAnswer answer = answers(model, {prompt}, {.format = &format})[0];
  EXPECT_EQ(answer.text, "");
  EXPECT_NE(answer.raw, "");
  EXPECT_TRUE(answer.unclosed);
  EXPECT_TRUE(answer.cut);
  EXPECT_EQ(answer.tokens, 20);
}

}  // namespace
}  // namespace fieldprint
