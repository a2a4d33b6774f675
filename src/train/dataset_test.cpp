#include "train/dataset.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "fieldprint/error.h"
#include "support/files.h"
#include "support/tiny_vocabulary.h"
#include "train/batches.h"
#include "train/duplicates.h"

namespace fieldprint {
namespace {

constexpr const char* kTemplate =
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

std::string pair(const std::string& question, const std::string& answer) {
  return R"({"prompt":")" + question + R"(","completion":")" + answer + "\"}\n";
}

class TrainData : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(testing::TempDir()) /
              (std::string("train_data_") + testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string file(const std::string& text) {
    const std::string path = folder_ / "rows.jsonl";
    spill(path, text);
    return path;
  }
  Dataset read(const std::string& path, DatasetOptions options = {}, int threads = 2, const char* source = kTemplate) {
    ThreadPool pool(threads);
    const ChatTemplate chat_template(source);
    return read_dataset(path, *model_, *tokenizer_, &chat_template, options, pool);
  }

  std::filesystem::path folder_;
  std::vector<std::byte> bytes_ = tiny_byte_level("llama-bpe").bytes();
  std::shared_ptr<const GgufFile> model_ = GgufFile::parse(bytes_, "tiny");
  std::unique_ptr<Tokenizer> tokenizer_ = load_tokenizer(*model_);
};

TEST_F(TrainData, FaultyRowsAreCountedAndTheRestGoesOn) {
  const std::string path = file(pair("a", "b") + "\n{\n[]\n" + R"({"text":""})" + "\n" + pair("c", "d"));
  const Dataset data = read(path);
  EXPECT_EQ(data.report.rows, 5);
  EXPECT_EQ(data.lines, (std::vector<int64_t>{1, 6}));
  const FaultCount& json = data.report.faults[static_cast<size_t>(RowFault::kJson)];
  EXPECT_EQ(json.rows, 2);
  EXPECT_EQ(json.first, 3);
  EXPECT_EQ(data.report.faults[static_cast<size_t>(RowFault::kEmpty)].rows, 1);
  EXPECT_EQ(refusal([&] { read(path, {.strict = true}); }).rfind(path + ":3: ", 0), 0u);
  EXPECT_NE(refusal([&] { read(file("{\n")); }).find(":1: "), std::string::npos) << "no row is left";
  EXPECT_NE(refusal([&] { read(file("\n")); }), "");
}

TEST_F(TrainData, LongDocumentsLoseTheirEndOrGo) {
  const std::string path = file(pair(std::string(50, 'q'), "b") + pair("a", std::string(50, 'z')) + R"({"text":")" +
                                std::string(50, 'h') + "\"}\n");
  const Dataset data = read(path, {.max_tokens = 32});
  EXPECT_EQ(data.report.faults[static_cast<size_t>(RowFault::kTooLong)].rows, 1);
  EXPECT_EQ(data.report.truncated, 1);
  ASSERT_EQ(data.examples.size(), 3u) << "the text is cut in two";
  EXPECT_EQ(data.examples[0].tokens.size(), 32u);
  EXPECT_EQ(data.examples[0].weights.back(), 1);
  EXPECT_EQ(data.examples[1].tokens.size() + data.examples[2].tokens.size(), 52u + 1u);
  EXPECT_EQ(data.examples[1].tokens.back(), data.examples[2].tokens.front()) << "each token but the first is learned";
  EXPECT_EQ(data.examples[2].weights[0], 0);
}

TEST_F(TrainData, TheSecondReadTokenisesNothing) {
  const std::string rows = pair("a", "b") + "{\n" + pair("c", "d");
  const std::string path = file(rows);
  const DatasetOptions options{.cache = folder_ / "cache"};
  const Dataset first = read(path, options), second = read(path, options, 1);
  EXPECT_FALSE(first.report.cached);
  EXPECT_TRUE(second.report.cached);
  EXPECT_EQ(dataset_fingerprint(first), dataset_fingerprint(second));
  EXPECT_EQ(first.lines, second.lines);
  EXPECT_EQ(first.report.faults[1].detail, second.report.faults[1].detail);
  EXPECT_EQ(first.report.tokens, second.report.tokens);
  EXPECT_FALSE(
      read(path, options, 2, "{{ messages[0].content }}{% if not add_generation_prompt %}!{% endif %}").report.cached)
      << "another template";
  EXPECT_FALSE(read(path, {.max_tokens = 99, .cache = options.cache}).report.cached) << "other options";
  EXPECT_FALSE(read(file(rows + rows), options).report.cached) << "other data";
  file(rows);
  for (const auto& entry : std::filesystem::directory_iterator(options.cache)) {
    std::string bytes = slurp(entry.path());
    bytes[bytes.size() / 2] ^= 1;
    spill(entry.path(), bytes);
  }
  EXPECT_FALSE(read(path, options).report.cached) << "altered";
}

TEST_F(TrainData, APlainTextIsCutIntoPieces) {
  const std::string path = folder_ / "text.txt";
  spill(path, "{\n" + std::string(100, 'q') + "\n");
  const Dataset data = read(path, {.max_tokens = 32});
  EXPECT_EQ(data.report.rows, 1);
  EXPECT_EQ(data.report.learned, 104) << "all bytes and EOS, behind BOS";
  EXPECT_EQ(data.examples.size(), 4u);
}

TEST_F(TrainData, ThreadsChangeNothing) {
  std::string rows;
  for (int i = 0; i < 40; ++i) rows += pair("question " + std::to_string(i), "answer " + std::to_string(i * i));
  const std::string path = file(rows);
  EXPECT_EQ(dataset_fingerprint(read(path, {}, 1)), dataset_fingerprint(read(path, {}, 3)));
}

TEST_F(TrainData, TheSplitKeepsEqualRowsTogether) {
  std::string rows;
  for (int i = 0; i < 400; ++i) rows += pair(std::to_string(i % 200), "answer");
  const std::string path = file(rows);
  Dataset train = read(path), again = read(path);
  const Dataset off = split_off(train, 0.25, 7);
  EXPECT_EQ(train.examples.size() + off.examples.size(), 400u);
  EXPECT_GT(off.examples.size(), 50u);
  EXPECT_LT(off.examples.size(), 150u);
  std::set<std::vector<TokenId>> kept;
  for (const Example& example : train.examples) kept.insert(example.tokens);
  for (const Example& example : off.examples) EXPECT_FALSE(kept.contains(example.tokens));
  EXPECT_EQ(split_off(again, 0.25, 7).lines, off.lines);
}

TEST_F(TrainData, AnswersOfOneConversationStayTogetherAndPiecesOfATextDoNot) {
  // Thoughts of the last answer alone are kept: two examples a row.
  constexpr const char* kThinks =
      "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if loop.last %}{{ m.reasoning_content }}{% endif %}"
      "{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
  std::string rows;
  for (int i = 0; i < 60; ++i) {
    const std::string number = std::to_string(i);
    rows += R"({"messages":[{"role":"user","content":")" + number + R"("},{"role":"assistant","content":"a",)" +
            R"("reasoning_content":"t"},{"role":"user","content":"b"},{"role":"assistant","content":"c"}]})" + "\n";
  }
  Dataset train = read(file(rows), {}, 2, kThinks);
  EXPECT_EQ(train.examples.size(), 120u);
  const Dataset off = split_off(train, 0.4, 1);
  EXPECT_FALSE(off.lines.empty());
  EXPECT_FALSE(train.lines.empty());
  for (const int64_t line : off.lines) EXPECT_EQ(std::count(train.lines.begin(), train.lines.end(), line), 0);
  const std::string path = folder_ / "text.txt";
  std::string text;
  for (int i = 0; i < 400; ++i) text += std::to_string(i * i) + " ";
  spill(path, text);
  Dataset pieces = read(path, {.max_tokens = 16});
  EXPECT_FALSE(split_off(pieces, 0.3, 1).examples.empty());
  EXPECT_FALSE(pieces.examples.empty());
}

TEST_F(TrainData, DuplicatesAreFound) {
  const std::string long_text(
      "all men by nature desire to know an indication of this is the delight we take in our senses for even apart "
      "from their usefulness they are loved for themselves and above all others the sense of sight");
  const Dataset data = read(file(pair("a", long_text) + pair("b", "another thing that is said here and nowhere else") +
                                 pair("a", long_text) + pair("a", long_text + " indeed")));
  ThreadPool pool(2);
  const Duplicates found = find_duplicates(data.examples, pool);
  EXPECT_EQ(found.exact, 1);
  EXPECT_EQ(found.first_exact, (std::pair<int64_t, int64_t>{0, 2}));
  EXPECT_EQ(found.near, 1);
  EXPECT_EQ(found.first_near, (std::pair<int64_t, int64_t>{0, 3}));
  const Duplicates across = find_duplicates(std::span(data.examples).first(1), pool, std::span(data.examples).last(1));
  EXPECT_EQ(across.exact, 0);
  EXPECT_EQ(across.near, 1);
}

Example document(size_t tokens) {
  return {.tokens = std::vector<TokenId>(tokens, 1), .weights = std::vector<float>(tokens, 1)};
}

TEST(TrainBatches, PackTheLongestFirstWhereTheyFitBest) {
  const Example a = document(6), b = document(5), c = document(4), d = document(4), e = document(1), f = document(12);
  const Example* all[] = {&a, &b, &c, &d, &e, &f};
  const auto batches = pack(all, 10);
  ASSERT_EQ(batches.size(), 3u);
  EXPECT_EQ(batches[0], MicroBatch{&f}) << "too long for any, and alone";
  EXPECT_EQ(batches[1], (MicroBatch{&a, &c}));
  EXPECT_EQ(batches[2], (MicroBatch{&b, &d, &e}));
}

TEST(TrainBatches, AreAFunctionOfTheStep) {
  std::vector<Example> examples;
  for (size_t i = 0; i < 23; ++i) examples.push_back(document(2 + i));
  DatasetBatches batches(examples, "x", {.documents = 5, .max_tokens = 30, .seed = 3});
  DatasetBatches others(examples, "x", {.documents = 5, .max_tokens = 30, .seed = 3});
  DatasetBatches seeded(examples, "x", {.documents = 5, .max_tokens = 30, .seed = 4});
  EXPECT_EQ(batches.steps_per_epoch(), 5);
  EXPECT_EQ(batches.batch(8), others.batch(8)) << "whatever was asked for before";
  others.batch(2);
  EXPECT_EQ(batches.batch(1), others.batch(1));
  EXPECT_NE(batches.batch(1), batches.batch(6)) << "each epoch has an order of its own";
  EXPECT_NE(batches.batch(1), seeded.batch(1));
  std::multiset<const Example*> seen;
  for (int64_t step = 6; step <= 10; ++step) {
    for (const MicroBatch& batch : batches.batch(step)) {
      int64_t tokens = 0;
      for (const Example* example : batch) seen.insert(example), tokens += static_cast<int64_t>(example->tokens.size());
      EXPECT_LE(tokens, 30);
    }
  }
  EXPECT_EQ(seen.size(), 23u) << "an epoch sees every document once";
  EXPECT_EQ(std::set(seen.begin(), seen.end()).size(), 23u);
}

}  // namespace
}  // namespace fieldprint
