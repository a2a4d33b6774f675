// The tasks whose answers are generated, and perplexity. Expected values were computed with lm-evaluation-harness
// 0.4.13 from the same rows, which are ours.
#include <gtest/gtest.h>

#include <map>

#include "eval/task.h"
#include "fieldprint/error.h"

namespace fieldprint {
namespace {

const EvalTask& task(const std::string& name) { return *find_eval_tasks(name).at(0); }

// metric,filter -> value; `read` by filter where it is asked for.
std::map<std::string, double> values(const std::vector<EvalScore>& scores) {
  std::map<std::string, double> all;
  for (const EvalScore& one : scores) all[one.metric + "," + one.filter] = one.value / one.weight;
  return all;
}

TEST(EvalWrittenAnswers, ReadNumbersOfGsm8k) {
  const EvalTask& gsm8k = task("gsm8k");
  const Document document = {{"question", "How much?"},
                             {"answer", "She has 3 + 4 = 7 pens.\nThat is $1,200.\n#### 1,200"}};
  EXPECT_EQ(gsm8k.question(document), "Question: How much?\nAnswer:");
  EXPECT_EQ(gsm8k.target(document), document["answer"]);
  struct Row {
    const char *answer, *strict;
    double strict_right;
    const char* flexible;
    double flexible_right;
  };
  for (const Row& row : std::initializer_list<Row>{
           {"so 7*5 = 35\n#### 1,200", "1,200", 1, "1,200", 1},
           {"#### $1200", "[invalid]", 0, "$1200", 1},
           {"The answer is 1200.", "[invalid]", 0, "1200.", 1},
           {"it is 1,200 dollars, 5", "[invalid]", 0, "5", 0},
           {"#### 1200.", "1200.", 1, "1200.", 1},
           {"#### -3", "-3", 0, "-3", 0},
           {"price $1,200.", "[invalid]", 0, "$1,200.", 1},
           {"1.200", "[invalid]", 0, "1.200", 0},
           {"x #### 12 #### 1200", "12", 0, "1200", 1},
           {"#### 1200\n#### 5", "1200", 1, "5", 0},
           {"10 ...", "[invalid]", 0, "...", 0},
           {"", "[invalid]", 0, "[invalid]", 0},
       }) {
    const std::vector<EvalScore> scores = gsm8k.score(document, row.answer);
    ASSERT_EQ(scores.size(), 2u);
    EXPECT_EQ(scores[0].filter, "strict-match");
    EXPECT_EQ(scores[0].read, row.strict) << row.answer;
    EXPECT_EQ(scores[0].value, row.strict_right) << row.answer;
    EXPECT_EQ(scores[1].filter, "flexible-extract");
    EXPECT_EQ(scores[1].read, row.flexible) << row.answer;
    EXPECT_EQ(scores[1].value, row.flexible_right) << row.answer;
  }
}

TEST(EvalWrittenAnswers, AskMmluProBySubject) {
  EXPECT_EQ(find_eval_tasks("mmlu_pro").size(), 14u);
  const EvalTask& subject = task("mmlu_pro_computer_science");
  EXPECT_EQ(subject.description,
            "The following are multiple choice questions (with answers) about computer science. Think step by step and "
            "then finish your answer with \"the answer is (X)\" where X is the correct letter choice.\n");
  const Document row = {{"question", "What is 1 + 1?"},
                        {"options", {" 1", "2 ", "N/A"}},
                        {"answer", "B"},
                        {"cot_content", "A: Let's think step by step. One and one is two. The answer is (B)."},
                        {"category", "computer science"}};
  EXPECT_FALSE(task("mmlu_pro_math").data.document(row)) << "of another subject";
  const Document document = subject.data.document(row).value();
  EXPECT_EQ(subject.question(document),
            "Question:\nWhat is 1 + 1?\nOptions:\nA. 1\nB. 2\nC. N/A\nAnswer: Let's think step by step.");
  const EvalShot shot = subject.shot(document);
  EXPECT_EQ(shot.question, subject.question(document));
  EXPECT_EQ(shot.answer, "One and one is two. The answer is (B).");

  for (const auto& [answer, read, right] : std::initializer_list<std::tuple<const char*, const char*, double>>{
           {"the answer is (B).", "B", 1},
           {"answer is B", "B", 1},
           {"The Answer is (B)", "[invalid]", 0},
           {"the answer is (K)", "[invalid]", 0},
           {"the answer is A, no, the answer is (B)", "A", 0},
           {"", "[invalid]", 0},
       }) {
    const EvalScore score = subject.score(document, answer).at(0);
    EXPECT_EQ(score.read, read) << answer;
    EXPECT_EQ(score.value, right) << answer;
  }
  for (const char* nobody : {"D", "", "AB", "b"}) {  // three options have the letters A to C
    Document wrong = row;
    wrong["answer"] = nobody;
    EXPECT_THROW(subject.data.document(wrong), Error) << nobody;
  }
  Document csv = row;
  csv["options"] = "['1', '2'\n 'N/A']";
  EXPECT_EQ(subject.question(subject.data.document(csv).value()), subject.question(document)) << "numpy's lists";
}

TEST(EvalWrittenAnswers, CheckTheInstructionsOfIfeval) {
  const EvalTask& ifeval = task("ifeval");
  // As `datasets` exports it: what an instruction does not have is null.
  const Document row = Document::parse(R"({"key": 1, "prompt": "Write of a dog.",
      "instruction_id_list": ["punctuation:no_comma", "keywords:existence", "startend:quotation"],
      "kwargs": [{"keywords": null}, {"keywords": ["dog"]}, {}]})");
  const Document document = ifeval.data.document(row).value();
  EXPECT_EQ(ifeval.question(document), "Write of a dog.");
  EXPECT_EQ(ifeval.generation.max_tokens, 1280);
  EXPECT_TRUE(ifeval.generation.until.empty());
  auto got = values(ifeval.score(document, "Sure, here:\n\"A dog.\""));
  EXPECT_DOUBLE_EQ(got.at("prompt_level_strict_acc,none"), 0);
  EXPECT_DOUBLE_EQ(got.at("inst_level_strict_acc,none"), 1 / 3.0);
  EXPECT_DOUBLE_EQ(got.at("prompt_level_loose_acc,none"), 1);
  EXPECT_DOUBLE_EQ(got.at("inst_level_loose_acc,none"), 1);
  got = values(ifeval.score(document, ""));
  for (const auto& [metric, value] : got) EXPECT_EQ(value, 0) << metric;

  Document unknown = row;
  unknown["instruction_id_list"][0] = "keywords:rhyme";
  EXPECT_THROW(ifeval.data.document(unknown), Error) << "before anything is generated";
  Document uneven = row;
  uneven["kwargs"].erase(0);
  EXPECT_THROW(ifeval.data.document(uneven), Error);
}

TEST(EvalWrittenAnswers, TakePerplexityOfTextsAndPages) {
  const EvalTask& perplexity = task("perplexity");
  const EvalRolling text = perplexity.rolling({{"text", "Two words , \u00E9.\n"}});
  EXPECT_EQ(text.text, "Two words , \u00E9.\n") << "as it is";
  EXPECT_EQ(text.words, 5) << "re.split, so that a last line end begins another";
  EXPECT_EQ(text.bytes, 16);
  const std::string page =
      " = Tit le = \n \n The dogs ' bone , he said : \" yes \" ( it was 3 @.@ 5 ) ; 1 @,@ 000 well @-@ known 's ' x ' "
      "[ a ] { b } N = = Head = = \n 20 \u00B0 C . End ! Why ? \n";
  const EvalRolling wiki = perplexity.rolling({{"page", page}});
  EXPECT_EQ(wiki.text,
            " = Tit le =\n\nThe dogs'bone, he said: \"yes\" (it was 3.5); 1,000 well-known's'x' [a] {b} 1 == Head "
            "==\n20\u00B0C. End! Why?\n");
  EXPECT_EQ(wiki.words, 55);
  EXPECT_EQ(wiki.bytes, 159);
  EXPECT_THROW(perplexity.data.document({{"body", "x"}}), Error);
}

}  // namespace
}  // namespace fieldprint
