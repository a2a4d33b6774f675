#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/json.h"
#include "eval/data.h"
#include "eval/prompt.h"
#include "eval/task.h"
#include "fieldprint/error.h"
#include "jinja/unicode.h"
#include "support/paths.h"
#include "support/temp_home.h"

namespace fieldprint {
namespace {

using Requests = std::vector<std::pair<std::string, std::string>>;

const EvalTask& task_of(const std::string& name) { return *find_eval_tasks(name).at(0); }

Requests requests_of(const EvalTask& task, const Document& document, const std::vector<std::string>& contexts,
                     const std::string& delimiter) {
  const EvalChoices choices = task.choices(document);
  Requests requests;
  for (size_t i = 0; i < std::max(contexts.size(), choices.continuations.size()); ++i)
    requests.emplace_back(contexts[contexts.size() == 1 ? 0 : i],
                          delimiter + choices.continuations[choices.continuations.size() == 1 ? 0 : i]);
  return requests;
}

// Whether a document gives the requests, the gold choice and the lengths that the harness has for it.
void expect_requests(const EvalTask& task, const Document& document, const Document& expected) {
  const EvalChoices choices = task.choices(document);
  EXPECT_EQ(choices.gold, expected.at("gold"));
  EvalPrompts prompts(task, {}, {});
  EXPECT_EQ(Document(requests_of(task, document, prompts.contexts(document, choices.contexts), prompts.delimiter())),
            expected.at("requests"));
  const auto& measured = choices.continuations.size() == 1 ? choices.contexts : choices.continuations;
  std::vector<size_t> lengths;
  for (const std::string& text : measured) lengths.push_back(jinja::count_code_points(text));
  EXPECT_EQ(Document(lengths), expected.at("norm_chars"));
  if (!expected.contains("chat_user_and_continuation")) return;
  EXPECT_EQ(Document(requests_of(task, document, choices.contexts, "")), expected["chat_user_and_continuation"]);
}

TEST(EvalTasks, MakeTheHarnessesRequests) {
  std::ifstream file(golden_dir() / "eval" / "requests.jsonl");
  int rows = 0;
  for (std::string line; std::getline(file, line); ++rows) {
    const Document expected = parse_ordered_json(line, "requests.jsonl");
    const EvalTask& task = task_of(expected["task"].get<std::string>());
    SCOPED_TRACE(line);
    expect_requests(task, *task.data.document(expected["doc"]), expected);
  }
  EXPECT_EQ(rows, 13);
}

TEST(EvalTasks, MakeAllOfTheHarnessesRequestsOfTheSharedRows) {
  if (data_dir().empty()) GTEST_SKIP() << "no evaluation data";
  const auto folder = data_dir() / "eval";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no evaluation data";
  std::map<std::string, EvalDocuments> documents;
  int equal = 0;
  for (const Document& expected : read_eval_rows((folder / "expected_requests.jsonl").string()).documents) {
    const std::string file = expected["task"];
    const EvalTask& task = task_of(file == "hellaswag_wikihow" ? "hellaswag" : file);
    if (!documents.contains(file)) documents[file] = read_eval_documents(task, (folder / (file + ".jsonl")).string());
    SCOPED_TRACE(file + " " + expected["row"].dump());
    expect_requests(task, documents[file].documents.at(expected["row"]), expected);
    equal += !testing::Test::HasFailure();
  }
  EXPECT_EQ(equal, 90);
}

TEST(EvalTasks, HaveNamesMetricsAndASource) {
  std::set<std::string> names;
  for (const EvalTask& task : eval_tasks()) {
    SCOPED_TRACE(task.name);
    EXPECT_TRUE(names.insert(task.name).second);
    EXPECT_FALSE(task.metrics.empty());
    EXPECT_FALSE(task.data.dataset.empty());
    EXPECT_FALSE(task.data.source.empty());
    EXPECT_FALSE(task.data.split.empty());
    EXPECT_TRUE(task.data.document);
    EXPECT_EQ(task.kind == EvalKind::kMultipleChoice, static_cast<bool>(task.choices));
    EXPECT_EQ(task.kind == EvalKind::kGenerate, static_cast<bool>(task.question && task.target && task.score));
    EXPECT_EQ(task.kind == EvalKind::kRolling, static_cast<bool>(task.rolling));
  }
  EXPECT_THROW(find_eval_tasks("arc_hard"), Error);
}

TEST(EvalTasks, ReadWhatAuthorsPublish) {
  const auto first = [](const std::string& name, const char* row) {
    const EvalTask& task = task_of(name);
    return task.choices(*task.data.document(parse_ordered_json(row, "row")));
  };
  const EvalChoices arc = first("arc_easy", R"({"id": "1", "question": {"stem": "Why?", "choices":
      [{"text": "a", "label": "1"}, {"text": "b", "label": "2"}]}, "answerKey": "2"})");
  EXPECT_EQ(arc.contexts[0], "Question: Why?\nAnswer:");
  EXPECT_EQ(arc.gold, 1);
  const EvalChoices book = first("openbookqa", R"({"question": {"stem": "Sky", "choices":
      [{"text": "is blue", "label": "A"}, {"text": "is red", "label": "B"}]}, "answerKey": " A"})");
  EXPECT_EQ(book.contexts[0], "Sky");
  EXPECT_EQ(book.continuations[1], "is red");
  EXPECT_EQ(first("boolq", R"({"question": "is it", "passage": "P", "idx": 0, "label": true})").gold, 1);
  EXPECT_EQ(first("boolq", R"({"question": "is it", "title": "T", "answer": false, "passage": "P"})").gold, 0);
  const EvalChoices ending = first("hellaswag", R"({"activity_label": "A", "ctx_a": "One.", "ctx_b": "élan VITAL",
      "ctx": "One. élan VITAL", "endings": ["[step] x  y   z", " b [title] c", "[open\n]d"], "label": 2})");
  EXPECT_EQ(ending.contexts[0], "A: One. Élan vital");
  EXPECT_EQ(ending.continuations, (std::vector<std::string>{" x y  z", "b. c", "[open\n]d"}));
}

// Drawn by lm-evaluation-harness 0.4.13 itself from the same six rows with seed 1234.
TEST(EvalTasks, DrawTheExamplesThatTheHarnessDraws) {
  const EvalTask& task = task_of("arc_easy");
  std::vector<Document> rows;
  for (int i = 0; i < 6; ++i) {
    const std::string n = std::to_string(i);
    rows.push_back({{"id", n},
                    {"question", "Q" + n + "?"},
                    {"choices", {{"text", {"a" + n, "b" + n}}, {"label", {"A", "B"}}}},
                    {"answerKey", i % 2 == 0 ? "A" : "B"}});
  }
  EvalPrompts prompts(task, {.shots = 2}, rows);
  // random.Random(1234).sample(range(6), 2) twice: [3, 0], [0, 5]
  const auto context = [&](int i) { return prompts.contexts(rows[i], task.choices(rows[i]).contexts)[0]; };
  EXPECT_EQ(context(0), "Question: Q3?\nAnswer: b3\n\nQuestion: Q0?\nAnswer: a0\n\nQuestion: Q0?\nAnswer:");
  EXPECT_EQ(context(1), "Question: Q0?\nAnswer: a0\n\nQuestion: Q5?\nAnswer: b5\n\nQuestion: Q1?\nAnswer:");
  EXPECT_THROW(EvalPrompts(task, {.shots = 7}, rows), Error);
}

}  // namespace
}  // namespace fieldprint
