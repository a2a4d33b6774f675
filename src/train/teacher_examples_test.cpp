// What is learned of a teacher's rows: texts, tokens and distributions, what is refused, and that a student comes
// closer to its teacher.
#include "train/teacher_examples.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "base/sha256.h"
#include "engine/logprobs.h"
#include "fieldprint/error.h"
#include "fieldprint/model.h"
#include "fieldprint/session.h"
#include "fieldprint/train.h"
#include "support/files.h"
#include "support/tiny_vocabulary.h"
#include "support/training.h"
#include "train/dataset.h"

namespace fieldprint {
namespace {

constexpr float kNothing = -std::numeric_limits<float>::infinity();

constexpr const char* kPlain =
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
constexpr const char* kThinks =
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.reasoning_content %}<think>\n{{ m.reasoning_content }}\n"
    "</think>\n\n{% endif %}{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

class TeacherRows : public testing::Test {
 protected:
  TeacherRow row() const {
    TeacherRow row;
    row.key = std::string(64, 'a');
    row.messages =
        R"([{"role":"user","content":"hi"},{"role":"assistant","content":"old"},{"role":"user","content":"2+2"}])";
    row.reasoning = "two and two";
    row.content = "4";
    row.finish_reason = "stop";
    row.prompt_ids = {'P', ':'};
    row.token_ids = tokenizer_->encode("two and two</think>4", {.add_special = false});
    row.teacher.name = "big";
    row.teacher.vocabulary_sha256 = vocabulary_sha256(*tokenizer_);
    return row;
  }
  Dataset read(const std::string& lines, Learn learn, const char* source = kPlain, const std::string& cache = "") {
    spill(folder_ / "rows.jsonl", lines);
    ThreadPool pool(2);
    const ChatTemplate chat_template(source);
    return read_dataset(folder_ / "rows.jsonl", *model_, *tokenizer_, &chat_template, {.learn = learn, .cache = cache},
                        pool);
  }
  std::string learned(const Example& example) const {
    std::string text;
    for (size_t i = 0; i < example.tokens.size(); ++i) {
      if (example.weights[i] != 0) text += tokenizer_->piece(example.tokens[i]);
    }
    return text;
  }
  // Of the row's tokens: the token itself has 0.75, `other` 0.125, and an eighth is left.
  TopRecord record(const TeacherRow& row, TokenId other = 7) const {
    TopRecord record{.key = row.key, .k = 2, .ids = {}, .logp = {}, .tail = {}};
    for (const TokenId id : row.token_ids) {
      record.ids.insert(record.ids.end(), {id, other});
      record.logp.insert(record.logp.end(), {std::log(0.75f), std::log(0.125f)});
      record.tail.push_back(std::log(0.125f));
    }
    return record;
  }
  TeacherRow with_top(const TopRecord& record) const {
    const std::string bytes = to_bytes(record);
    spill(folder_ / "rows.top", std::string(kTopMagic) + bytes);
    TeacherRow row = this->row();
    row.top_k = record.k;
    row.top_sha256 = sha256_hex(std::as_bytes(std::span(bytes)));
    return row;
  }

  const TrainingFolder folder_;
  const std::vector<std::byte> bytes_ = tiny_byte_level("llama-bpe").bytes();
  const std::shared_ptr<const GgufFile> model_ = GgufFile::parse(bytes_, "tiny");
  const std::unique_ptr<Tokenizer> tokenizer_ = load_tokenizer(*model_);
};

TEST_F(TeacherRows, TheTeachersAnswerAloneIsLearned) {
  const Dataset data = read(to_line(row()), Learn::kAnswer, kThinks);
  ASSERT_EQ(data.examples.size(), 1u) << "no answer that stands in the prompt is";
  EXPECT_EQ(learned(data.examples[0]), "4<|im_end|>");
  EXPECT_EQ(data.report.turns, 1);
  EXPECT_EQ(data.examples[0].k, 0);
}

TEST_F(TeacherRows, ATraceIsLearnedWhetherOrNotTheTemplateKnowsOfThoughts) {
  for (const char* source : {kPlain, kThinks}) {
    const Dataset data = read(to_line(row()), Learn::kTrace, source);
    ASSERT_EQ(data.examples.size(), 1u);
    EXPECT_EQ(learned(data.examples[0]), "<think>\ntwo and two\n</think>\n\n4<|im_end|>");
    EXPECT_EQ(data.report.thoughts_dropped, 0);
  }
}

TEST_F(TeacherRows, IdsAreTheTeachersOwn) {
  TeacherRow asked = row();
  const Dataset data = read(to_line(asked), Learn::kIds);
  ASSERT_EQ(data.examples.size(), 1u);
  std::vector<TokenId> all = asked.prompt_ids;
  all.insert(all.end(), asked.token_ids.begin(), asked.token_ids.end());
  EXPECT_EQ(data.examples[0].tokens, all);
  EXPECT_EQ(data.examples[0].weight(), static_cast<double>(asked.token_ids.size()));
  EXPECT_EQ(data.examples[0].weights[1], 0);
  EXPECT_EQ(data.report.teacher, 1);
  EXPECT_EQ(data.report.foreign_prompts, 0) << "which template it was is not known";
  asked.teacher.template_sha256 = std::string(64, '1');
  EXPECT_EQ(read(to_line(asked), Learn::kIds).report.foreign_prompts, 1);
  asked.teacher.template_sha256 = sha256_hex(std::as_bytes(std::span(std::string_view(kPlain))));
  EXPECT_EQ(read(to_line(asked), Learn::kIds).report.foreign_prompts, 0);
  asked.prompt_ids.clear();  // then the prompt is as the student's template writes it
  const Example own = read(to_line(asked), Learn::kIds).examples[0];
  EXPECT_EQ(learned(own), "two and two</think>4");
  const std::vector<TokenId> prompt(own.tokens.begin(),
                                    own.tokens.end() - static_cast<std::ptrdiff_t>(asked.token_ids.size()));
  EXPECT_TRUE(tokenizer_->decode(prompt).ends_with("2+2<|im_end|>\n<|im_start|>assistant\n"));
}

TEST_F(TeacherRows, RowsWithoutAWholeAnswerAreCounted) {
  TeacherRow failed = row(), cut = row(), open = row(), empty = row();
  failed.failure = "timeout", failed.detail = "no byte for 60 s", failed.content.clear();
  cut.finish_reason = "length";
  open.unclosed = true;
  empty.content = " \n";
  const std::string lines = to_line(failed) + to_line(cut) + to_line(open) + to_line(empty) + to_line(row());
  const Dataset data = read(lines, Learn::kAnswer);
  EXPECT_EQ(data.lines, std::vector<int64_t>{5});
  const FaultCount& fault = data.report.faults[static_cast<size_t>(RowFault::kNoAnswer)];
  EXPECT_EQ(fault.rows, 4);
  EXPECT_NE(fault.detail.find("timeout (no byte for 60 s)"), std::string::npos);
  EXPECT_EQ(read(lines, Learn::kIds).report.faults[static_cast<size_t>(RowFault::kNoAnswer)].rows, 1)
      << "its own tokens end where it ended";
}

TEST_F(TeacherRows, OfAnotherVocabularyTheTextsAloneAreLearned) {
  TeacherRow foreign = row();
  foreign.teacher.vocabulary_sha256 = std::string(64, 'f');
  EXPECT_EQ(read(to_line(foreign), Learn::kTrace).examples.size(), 1u);
  for (const Learn learn : {Learn::kIds, Learn::kTop}) {
    const std::string said = refusal([&] { read(to_line(row()) + to_line(foreign), learn); });
    EXPECT_NE(said.find(":2: the teacher 'big' has another vocabulary (ffffffffffff)"), std::string::npos) << said;
  }
  TeacherRow unknown = row();
  unknown.teacher.vocabulary_sha256.clear();
  EXPECT_EQ(read(to_line(unknown), Learn::kIds).examples.size(), 1u) << "they read as what it said";
  unknown.content = "5";
  EXPECT_NE(refusal([&] { read(to_line(unknown), Learn::kIds); }).find("is not known"), std::string::npos);
  unknown.token_ids = {1 << 30};
  EXPECT_NE(refusal([&] { read(to_line(unknown), Learn::kIds); }), "");
  TeacherRow outside = row();
  outside.token_ids.push_back(tokenizer_->size());
  EXPECT_NE(refusal([&] { read(to_line(outside), Learn::kIds); }).find("outside of the vocabulary"), std::string::npos);
}

TEST_F(TeacherRows, DistributionsAreThoseBesideTheRows) {
  const TeacherRow row = with_top(record(this->row()));
  const auto cache = folder_ / "cache";
  const Dataset data = read(to_line(row), Learn::kTop, kPlain, cache);
  const Example& example = data.examples[0];
  ASSERT_EQ(example.k, 2);
  ASSERT_EQ(example.top_tail.size(), row.token_ids.size());
  for (size_t t = 0; t < row.token_ids.size(); ++t) {
    EXPECT_EQ(example.top_ids[2 * t], row.token_ids[t]);
    const double sum = std::exp(static_cast<double>(example.top_logp[2 * t])) +
                       std::exp(static_cast<double>(example.top_logp[2 * t + 1])) +
                       std::exp(static_cast<double>(example.top_tail[t]));
    EXPECT_NEAR(sum, 1, 1e-6) << "halves are rounded, and put right";
    EXPECT_NEAR(std::exp(static_cast<double>(example.top_logp[2 * t])), 0.75, 1e-3);
  }
  const Dataset again = read(to_line(row), Learn::kTop, kPlain, cache);
  EXPECT_TRUE(again.report.cached);
  EXPECT_EQ(dataset_fingerprint(again), dataset_fingerprint(data));
  EXPECT_EQ(again.examples[0].top_logp, example.top_logp);
  const TeacherRow other = with_top(record(this->row(), 8));
  const Dataset changed = read(to_line(other), Learn::kTop, kPlain, cache);
  EXPECT_FALSE(changed.report.cached);
  EXPECT_NE(dataset_fingerprint(changed), dataset_fingerprint(data));
  EXPECT_NE(dataset_fingerprint(read(to_line(row), Learn::kIds)), dataset_fingerprint(data));
}

TEST_F(TeacherRows, ADocumentThatIsCutKeepsTheDistributionsOfWhatIsLeft) {
  const TeacherRow row = with_top(record(this->row()));
  spill(folder_ / "rows.jsonl", to_line(row));
  ThreadPool pool(1);
  const ChatTemplate chat_template(kPlain);
  const Dataset data = read_dataset(folder_ / "rows.jsonl", *model_, *tokenizer_, &chat_template,
                                    {.max_tokens = 6, .learn = Learn::kTop}, pool);
  EXPECT_EQ(data.examples[0].top_tail.size(), 4u);
  EXPECT_EQ(data.examples[0].top_ids.size(), 8u);
  EXPECT_EQ(data.report.truncated, 1);
}

TEST_F(TeacherRows, DistributionsThatMakeNoSenseAreRefused) {
  const auto says = [&](auto change, const char* words) {
    TopRecord changed = record(row());
    change(changed);
    const TeacherRow row = with_top(changed);
    const std::string said = refusal([&] { read(to_line(row), Learn::kTop); });
    EXPECT_NE(said.find(words), std::string::npos) << said;
  };
  says([](TopRecord& r) { r.ids[0] = r.ids[1]; }, "two probabilities");
  says([](TopRecord& r) { r.ids[1] = 1 << 20; }, "outside of the vocabulary");
  says([](TopRecord& r) { r.logp[1] = 0; }, "together, not 1");
  says([](TopRecord& r) { r.tail.pop_back(), r.ids.resize(r.ids.size() - 2), r.logp.resize(r.ids.size()); },
       "tokens, and");
  says([](TopRecord& r) { r.key = std::string(64, 'b'); }, "no probabilities of it");
  says(
      [](TopRecord& r) {
        std::fill(r.ids.begin(), r.ids.end(), kNoToken), std::fill(r.tail.begin(), r.tail.end(), 0.0f);
      },
      "say nothing");
  TeacherRow row = with_top(record(this->row()));
  row.top_sha256 = std::string(64, '0');
  EXPECT_NE(refusal([&] { read(to_line(row), Learn::kTop); }).find("of another answer"), std::string::npos);
  row = with_top(record(this->row()));
  row.top_k = 7;
  EXPECT_NE(refusal([&] { read(to_line(row), Learn::kTop); }).find("7 probabilities a token"), std::string::npos);
  std::filesystem::remove(folder_ / "rows.top");
  EXPECT_NE(refusal([&] { read(to_line(row), Learn::kTop); }).find("no file of the teacher's probabilities"),
            std::string::npos);
  // Places of which the server said nothing are not learned.
  TopRecord hole = record(this->row());
  hole.ids[2] = hole.ids[3] = kNoToken;
  hole.logp[2] = hole.logp[3] = kNothing;
  hole.tail[1] = 0;
  const Example example = read(to_line(with_top(hole)), Learn::kTop).examples[0];
  EXPECT_EQ(example.weights[2 + 1], 0);
  EXPECT_EQ(example.top_tail.size(), row.token_ids.size() - 1);
}

TEST_F(TeacherRows, AnswersToOnePromptStayTogether) {
  std::string lines;
  for (int i = 0; i < 90; ++i) {  // three answers to each of 30 prompts, far from each other
    TeacherRow answer = row();
    answer.messages = fmt::format(R"([{{"role":"user","content":"prompt {}"}}])", i % 30);
    answer.content = fmt::format("answer {}", i);
    lines += to_line(answer);
  }
  Dataset train = read(lines, Learn::kAnswer);
  ASSERT_EQ(train.examples.size(), 90u);
  const Dataset held = split_off(train, 0.3, 1);
  EXPECT_FALSE(held.examples.empty());
  EXPECT_FALSE(train.examples.empty());
  for (const int64_t line : held.lines) {
    for (const int64_t other : train.lines) EXPECT_NE(line % 30, other % 30);
  }
}

TEST_F(TeacherRows, MayBeMixedWithOthers) {
  const TeacherRow row = with_top(record(this->row()));
  const Dataset data = read(to_line(row) + "{\"text\":\"plain\"}\n", Learn::kTop);
  ASSERT_EQ(data.examples.size(), 2u);
  EXPECT_EQ(data.examples[1].k, 0);
}

// A student of other random weights than its teacher's, which answers prompts by chance, with all that it thought
// likely.
class TeacherAndStudent : public testing::Test {
 protected:
  TeacherAndStudent() {
    TinyModelShape shape;
    shape.width = 32, shape.heads = 2, shape.kv_heads = 1, shape.ffn_width = 32, shape.seed = 7;
    with_tiny_model(shape, [&](const GgufWriter& writer) { writer.write(folder_ / "teacher.gguf"); });
    const auto model = Model::load(folder_ / "teacher.gguf");
    Session session(model);
    Rng rng(3);
    std::string rows, top(kTopMagic);
    for (int i = 0; i < 160; ++i) {
      TeacherRow row;
      row.key = fmt::format("{:064x}", i);
      row.messages = fmt::format(R"([{{"role":"user","content":"{}"}}])", i);
      row.prompt_ids = {static_cast<TokenId>(rng.below(256)), static_cast<TokenId>(rng.below(256))};
      for (int t = 0; t < 8; ++t) row.token_ids.push_back(static_cast<TokenId>(rng.below(256)));
      row.teacher.vocabulary_sha256 = vocabulary_sha256(model->tokenizer());
      std::vector<TokenId> all = row.prompt_ids;
      all.insert(all.end(), row.token_ids.begin(), row.token_ids.end());
      TopRecord record{.key = row.key, .k = 32, .ids = {}, .logp = {}, .tail = {}};
      session.truncate(0);
      session.append(all, [&](int place, std::span<const float> logits) {
        if (place < 1 || place + 1 == static_cast<int>(all.size())) return;
        double left = 1;
        for (const auto& [id, logp] : token_logprobs(logits, 0, record.k).top) {
          record.ids.push_back(id), record.logp.push_back(static_cast<float>(logp));
          left -= std::exp(logp);
        }
        record.tail.push_back(static_cast<float>(std::log(left)));
      });
      const std::string bytes = to_bytes(record);
      row.top_k = record.k, row.top_sha256 = sha256_hex(std::as_bytes(std::span(bytes)));
      rows += to_line(row), top += bytes;
    }
    spill(folder_ / "rows.jsonl", rows);
    spill(folder_ / "rows.top", top);
  }
  TrainOptions options(const std::string& out) const {
    TrainOptions o;
    o.data = folder_ / "rows.jsonl";
    o.out = folder_ / out;
    o.learn = "top-k";
    o.full = true;
    o.eval_share = 0.25;
    o.learning_rate = 1e-2;
    o.steps = 24;
    o.documents = 8;
    o.micro_tokens = 48;
    o.eval_every = 6;
    o.save_every = 4;
    o.threads = 2;
    return o;
  }
  TrainResult run(const TrainOptions& o, int64_t stop_after = -1) const {
    return Training(student_, o).run([&](const TrainPoint& point) { return point.step != stop_after; });
  }

  const TrainingFolder folder_;
  const std::string student_ = write_tiny_llama(folder_);
};

TEST_F(TeacherAndStudent, TheStudentComesCloserToItsTeacherWhereItWasNotTaught) {
  TrainOptions o = options("closer");
  o.steps = 60;
  EXPECT_GT(Training(student_, o).plan().memory.data, 0u);
  const TrainResult result = run(o);
  ASSERT_TRUE(result.eval_before && result.eval_best);
  EXPECT_GT(*result.eval_before, 0);
  EXPECT_LT(*result.eval_best, 0.5 * *result.eval_before);
}

TEST_F(TeacherAndStudent, StoppedItGoesOnToTheSameBitsAndWithTheSameTeacherAlone) {
  TrainOptions o = options("whole");
  o.kl_share = 0.5f;
  run(o);
  const std::string whole = slurp(folder_ / "whole/model.gguf");
  o.out = folder_ / "stopped";
  run(o, 5);
  o.resume = true;
  TrainOptions other = o;
  other.kl_share = 1;
  EXPECT_NE(refusal([&] { run(other); }).find("teacher's share"), std::string::npos);
  other = o;
  other.data = folder_ / "others.jsonl";
  spill(other.data, "{\"text\":\"a row of nobody's\"}\n");
  EXPECT_NE(refusal([&] { run(other); }).find("no row of a teacher's"), std::string::npos);
  other = o;
  other.learn = "ids";
  EXPECT_NE(refusal([&] { run(other); }).find("--learn top-k, not ids"), std::string::npos);
  o.threads = 1;
  run(o);
  EXPECT_EQ(slurp(folder_ / "stopped/model.gguf"), whole);
}

TEST_F(TeacherAndStudent, ATrainingOfOtherProbabilitiesIsAnother) {
  TrainOptions o = options("changed");
  run(o, 3);
  o.resume = true;
  std::string top = slurp(folder_ / "rows.top"), rows = slurp(folder_ / "rows.jsonl");
  top[top.size() - 2] ^= 1;  // the last half of a tail
  spill(folder_ / "rows.top", top);
  EXPECT_NE(refusal([&] { run(o); }).find("other data"), std::string::npos);
}

}  // namespace
}  // namespace fieldprint
