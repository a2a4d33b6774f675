#include "eval/data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fieldprint/error.h"
#include "support/temp_home.h"

namespace fieldprint {
namespace {

using testing::HasSubstr;

class EvalFiles : public testing::Test {
 protected:
  std::string write(const std::string& name, const std::string& text) const {
    write_file(home_.path() / name, text);
    return (home_.path() / name).string();
  }
  static const EvalTask& task(const std::string& name) { return *find_eval_tasks(name).at(0); }
  // The sentence, place and hint of the Error that reading gives.
  static std::string refusal(const std::string& task_name, const std::string& path) {
    try {
      read_eval_documents(task(task_name), path);
    } catch (const Error& error) {
      return std::string(error.what()) + " | " + error.hint();
    }
    return "nothing";
  }
  TempHome home_;
};

constexpr const char* kPiqa = R"({"goal": "g", "sol1": "é", "sol2": "two", "label": 1})";

TEST_F(EvalFiles, IsReadFromJsonLinesAListAndCsv) {
  const Document expected = Document::parse(kPiqa);
  const std::string lines = write("a.jsonl", std::string("\xEF\xBB\xBF") + kPiqa + "\r\n\n" + kPiqa + "\n");
  const std::string list = write("a.json", std::string("[") + kPiqa + ", " + kPiqa + "]");
  const std::string csv = write("a.csv", "goal,sol1,sol2,label\ng,é,two,1\r\n\"g\",\"é\",two,1\n");
  for (const std::string& path : {lines, list, csv}) {
    const EvalDocuments read = read_eval_documents(task("piqa"), path);
    ASSERT_EQ(read.documents.size(), 2u) << path;
    EXPECT_EQ(read.documents[0], expected) << path;
    EXPECT_EQ(read.documents[1], expected) << path;
    ASSERT_EQ(read.files.size(), 1u);
    EXPECT_EQ(read.files[0].sha256.size(), 64u);
  }
}

TEST_F(EvalFiles, CsvKeepsCommasQuotesAndLineEnds) {
  const auto read = read_eval_rows(write("a.csv", ",text,n\n0,\"a, \"\"b\"\"\nc\",7\n1,,8"));
  ASSERT_EQ(read.documents.size(), 2u);
  EXPECT_EQ(read.documents[0], (Document{{"text", "a, \"b\"\nc"}, {"n", "7"}}));  // pandas' index has no name
  EXPECT_EQ(read.documents[1], (Document{{"text", ""}, {"n", "8"}}));
}

// As pandas 2 writes the hub's Parquet files of ARC and HellaSwag.
TEST_F(EvalFiles, CsvListsAreWhatPythonPrints) {
  const auto arc = read_eval_documents(
      task("arc_easy"), write("arc.csv",
                              "id,question,choices,answerKey\nx,Why?,\"{'text': array(['it\\'s', \"\"a \\\\ b\"\"], "
                              "dtype=object), 'label': array(['A', 'B'], dtype=object)}\",B\n"));
  EXPECT_EQ(texts_member(arc.documents[0], "choices.text"), (std::vector<std::string>{"it's", "a \\ b"}));
  const auto hellaswag = read_eval_documents(
      task("hellaswag"),
      write("h.csv",
            "activity_label,ctx_a,ctx_b,ctx,endings,label\nA,B.,c,B. c,\"['one' 'two'\n 'three' \"\"f'r\"\"]\",3\n"));
  EXPECT_EQ(texts_member(hellaswag.documents[0], "choices"), (std::vector<std::string>{"one", "two", "three", "f'r"}));
}

TEST_F(EvalFiles, PythonValuesAreReadOrRefused) {
  EXPECT_EQ(parse_python_value("[1, -2.5, True, None, 'a\\n\\u00e9\\x41']"), (Document{1, -2.5, true, nullptr,
                                                                                       "a\né"
                                                                                       "A"}));
  EXPECT_EQ(parse_python_value("(array([1 2], dtype=int64),)"), (Document{{1, 2}}));
  for (const char* wrong :
       {"", "[", "['a", "{'a' 1}", "{1: 2}", "[x]", "['\\xZZ']", "['\\ud800']", "[1] 2", "array([1]"})
    EXPECT_THROW(parse_python_value(wrong), Error) << wrong;
  EXPECT_THROW(parse_python_value(std::string(100000, '[')), Error);
}

TEST_F(EvalFiles, LabelsMayLieBeside) {
  const std::string path = write("valid.jsonl", "{\"goal\": \"g\", \"sol1\": \"1\", \"sol2\": \"2\"}\n");
  write("valid-labels.lst", "1\n");
  const EvalDocuments read = read_eval_documents(task("piqa"), path);
  EXPECT_EQ(read.documents[0]["label"], 1);
  EXPECT_EQ(read.files.size(), 2u);
  write("valid-labels.lst", "1\n0\n");
  EXPECT_THAT(refusal("piqa", path), HasSubstr("2 labels for 1 rows"));
  const std::string dev = write("dev.jsonl", R"({"sentence": "A _ b", "option1": "x", "option2": "y"})");
  write("dev-labels.lst", "2\n");
  EXPECT_EQ(read_eval_documents(task("winogrande"), dev).documents[0]["answer"], "2");
}

TEST_F(EvalFiles, WrongFilesAreToldWithTheirPlace) {
  const auto rows = [&](const std::string& second) { return write("x.jsonl", std::string(kPiqa) + "\n" + second); };
  EXPECT_THAT(refusal("piqa", rows("{")), HasSubstr("x.jsonl:2"));
  EXPECT_THAT(refusal("piqa", rows("[1]")), HasSubstr("x.jsonl:2: the row is no JSON object"));
  EXPECT_THAT(refusal("piqa", rows("{\"goal\": 1, \"label\": 1}")), HasSubstr("'goal' is no text"));
  EXPECT_THAT(refusal("piqa", rows("{\"question\": 1}")), HasSubstr("it has: question"));
  EXPECT_THAT(refusal("piqa", rows("{\"question\": 1}")), HasSubstr("is this a file of piqa (baber/piqa)?"));
  EXPECT_THAT(refusal("piqa", rows(R"({"goal": "", "sol1": "", "sol2": "", "label": -1})")),
              HasSubstr("validation split"));
  EXPECT_THAT(refusal("piqa", write("u.jsonl", "{}\n\xff")), HasSubstr("u.jsonl:2: the bytes are not UTF-8"));
  EXPECT_THAT(refusal("piqa", write("q.csv", "a,b\n\"1")), HasSubstr("q.csv:2: a field in quotes has no end"));
  EXPECT_THAT(refusal("piqa", write("f.csv", "a,b\n1\n")), HasSubstr("1 fields where the first line names 2"));
  EXPECT_THAT(refusal("piqa", write("e.jsonl", "")), HasSubstr("has no document of piqa"));
  EXPECT_THAT(refusal("piqa", write("x.xml", "<a/>")), HasSubstr(".jsonl, .json, .csv"));
  EXPECT_THAT(refusal("piqa", write("x.parquet", "PAR1")), HasSubstr("pandas.read_parquet('"));
  EXPECT_THAT(refusal("piqa", write("x.arrow", "ARROW1")), HasSubstr("datasets.Dataset.from_file('"));
  EXPECT_THAT(refusal("piqa", (home_.path() / "none.jsonl").string()), HasSubstr("none.jsonl"));
}

TEST_F(EvalFiles, IsFoundByItsNames) {
  const std::string folder = home_.path().string();
  const auto found = [&](EvalPart part) {
    const std::string path = find_eval_file(task("arc_easy"), part, folder);
    return path.empty() ? path : path.substr(folder.size() + 1);
  };
  EXPECT_EQ(found(EvalPart::kScored), "");
  write("arc_easy/test.csv", "");
  EXPECT_EQ(found(EvalPart::kScored), "arc_easy/test.csv");
  write("arc_easy.jsonl", "");
  EXPECT_EQ(found(EvalPart::kScored), "arc_easy.jsonl");
  EXPECT_EQ(found(EvalPart::kShots), "");
  write("arc_easy_train.json", "");
  EXPECT_EQ(found(EvalPart::kShots), "arc_easy_train.json");
  write("ARC-Easy-Test.jsonl", "");
  EXPECT_EQ(found(EvalPart::kScored), "ARC-Easy-Test.jsonl");
  try {
    throw_no_eval_data(task("arc_challenge"), EvalPart::kScored, folder);
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("arc_challenge.jsonl: the documents of arc_challenge are not there"));
    EXPECT_THAT(error.hint(), HasSubstr("https://allenai.org/data/arc"));
    EXPECT_THAT(error.hint(), HasSubstr("load_dataset('allenai/ai2_arc', 'ARC-Challenge', split='test')"));
  }
}

}  // namespace
}  // namespace fieldprint
