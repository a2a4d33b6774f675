#include "train/distilled.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "fieldprint/error.h"
#include "support/files.h"
#include "support/tiny_vocabulary.h"

namespace fieldprint {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::string kKey(64, 'a'), kOther = "0123456789abcdef" + std::string(48, '0');
constexpr float kNothing = -std::numeric_limits<float>::infinity();

TeacherRow full_row() {
  TeacherRow row;
  row.key = kKey;
  row.id = "p-1";
  row.messages = R"([{"role":"user","content":"2 + 2? \u00fc"}])";
  row.tools = R"([{"type":"function","function":{"name":"f","parameters":{"z":1,"a":2}}}])";
  row.answer = "4";
  row.task = "sums";
  row.sample = 3;
  row.seed = ~uint64_t{0};
  row.sampling = R"({"temperature":0.7,"max_tokens":512})";
  row.reasoning = "two and two\n";
  row.content = "4";
  row.unclosed = true;
  row.finish_reason = "stop";
  row.tool_calls = R"([{"id":"x"}])";
  row.prompt_ids = {1, 2};
  row.token_ids = {3, 0, 2147483647};
  row.prompt_tokens = 2;
  row.completion_tokens = 3;
  row.teacher = {"big", std::string(64, '1'), std::string(64, '2'), std::string(64, '3')};
  row.top_k = 8;
  row.top_sha256 = std::string(64, '4');
  return row;
}

TEST(DistilledRow, ComesBackInTheHeadersOrder) {
  const std::string line = to_line(full_row());
  EXPECT_EQ(to_line(read_teacher_row(line, "x")), line);
  EXPECT_TRUE(is_teacher_row(line));
  EXPECT_EQ(line.back(), '\n');
  size_t at = 0;
  for (const char* name :
       {"key",           "id",         "messages",   "tools",     "answer",        "task",
        "sample",        "seed",       "sampling",   "reasoning", "content",       "unclosed",
        "finish_reason", "tool_calls", "prompt_ids", "token_ids", "prompt_tokens", "completion_tokens",
        "teacher",       "top_k",      "top_sha256"}) {
    const size_t found = line.find(std::string("\"") + name + "\":", at);
    ASSERT_NE(found, std::string::npos) << name;
    at = found;
  }
  const TeacherRow back = read_teacher_row(line, "x");
  EXPECT_EQ(back.seed, ~uint64_t{0});
  EXPECT_EQ(back.token_ids, full_row().token_ids);
  EXPECT_EQ(back.messages, "[{\"role\":\"user\",\"content\":\"2 + 2? \xc3\xbc\"}]");
  EXPECT_EQ(back.tools, full_row().tools);
  EXPECT_EQ(back.teacher.vocabulary_sha256, std::string(64, '3'));
}

TEST(DistilledRow, FailureHasItsReasonAndNoContent) {
  TeacherRow row;
  row.key = kKey;
  row.messages = "[]";
  row.failure = "timeout";
  row.detail = "no byte for 60 s";
  row.attempts = 5;
  const std::string line = to_line(row);
  EXPECT_EQ(line.find("content"), std::string::npos);
  const TeacherRow back = read_teacher_row(line, "x");
  EXPECT_TRUE(back.failed());
  EXPECT_EQ(back.detail, row.detail);
  EXPECT_EQ(back.attempts, 5);
}

TEST(DistilledRow, BrokenUtf8OfATeacherBecomesAReplacementCharacter) {
  TeacherRow row = full_row();
  row.content = "half \xe2\x82";
  EXPECT_EQ(read_teacher_row(to_line(row), "x").content, "half \xef\xbf\xbd");
}

TEST(DistilledRow, RefusesWhatIsNone) {
  const auto refused = [](const std::string& line, const char* words) {
    EXPECT_FALSE(is_teacher_row(line) && std::string_view(words) == "none") << line;
    try {
      read_teacher_row(line, "rows.jsonl, line 7");
      ADD_FAILURE() << line;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
      EXPECT_THAT(error.what(), HasSubstr("rows.jsonl, line 7"));
      EXPECT_THAT(error.what(), HasSubstr(words));
    }
  };
  const std::string key = "{\"key\": \"" + kKey + "\", ";
  refused("[]", "none");
  refused("{\"key\"", "JSON");
  refused("{\"key\": \"abc\"}", "64 hexadecimal digits");
  refused(key + "\"teacher\": {}}", "no \"messages\"");
  refused(key + "\"messages\": {}}", "a list");
  refused(key + "\"messages\": [], \"sample\": -1}", "not negative");
  refused(key + "\"messages\": [], \"sample\": 3000000000}", "not negative");
  refused(key + "\"messages\": [], \"token_ids\": [2147483648]}", "token ids");
  refused(key + "\"messages\": [], \"token_ids\": [1.5]}", "token ids");
  refused(key + "\"messages\": [], \"content\": 1}", "a string");
  refused(key + "\"messages\": [], \"unclosed\": 1}", "true or false");
  refused(key + "\"messages\": [], \"teacher\": []}", "an object");
  EXPECT_FALSE(
      is_teacher_row("{\"messages\": [{\"role\": \"user\", \"content\": \"the \\\"key\\\" of a \\\"teacher\\\"\"}]}"));
  EXPECT_FALSE(is_teacher_row("{\"key\": \"teacher\", \"teacher\": {}, \"messages\": []}"));
}

TopRecord some_record(const std::string& key = kKey) {
  return {.key = key,
          .k = 2,
          .ids = {7, 9, 1, kNoToken, 2147483647, 0},
          .logp = {-0.5f, -1, 0.001f, kNothing, -0.25f, -60000},
          .tail = {-4, kNothing, -1e6f}};
}

class DistilledTop : public testing::Test {
 protected:
  ~DistilledTop() override { std::filesystem::remove(path_); }
  void write(const std::string& bytes) const { spill(path_, bytes); }
  const std::string path_ =
      std::filesystem::temp_directory_path() / ("fieldprint-distilled-" + std::to_string(::getpid()) + ".top");
  const std::string magic_{kTopMagic};
};

TEST_F(DistilledTop, ComesBackAsHalves) {
  const std::string first = to_bytes(some_record());
  EXPECT_EQ(first.size(), 32 + 8 + 3 * (2 * 6 + 2));
  write(magic_ + first + to_bytes(some_record(kOther)));
  const TopFile file(path_);
  EXPECT_EQ(file.whole_bytes(), magic_.size() + 2 * first.size());
  EXPECT_EQ(file.bytes(kKey), first);
  const auto record = file.find(kOther);
  ASSERT_TRUE(record);
  EXPECT_EQ(record->key, kOther);
  EXPECT_EQ(record->k, 2);
  EXPECT_EQ(record->ids, some_record().ids);
  EXPECT_THAT(record->logp, ElementsAre(-0.5f, -1, 0, kNothing, -0.25f, -60000));
  EXPECT_THAT(record->tail, ElementsAre(-4, kNothing, kNothing));  // what a half cannot hold is no probability
  EXPECT_FALSE(file.find(std::string(64, '9')));
  EXPECT_EQ(file.bytes(std::string(64, '9')), "");
}

TEST_F(DistilledTop, HalfARecordAtTheEndIsIgnored) {
  const std::string first = to_bytes(some_record()), all = magic_ + first + to_bytes(some_record(kOther));
  for (size_t size = 0; size <= all.size(); ++size) {
    write(all.substr(0, size));
    const TopFile file(path_);
    const size_t one = magic_.size() + first.size();
    EXPECT_EQ(file.whole_bytes(), size < magic_.size() ? 0
                                  : size < one         ? magic_.size()
                                  : size < all.size()  ? one
                                                       : all.size());
    EXPECT_EQ(file.find(kKey).has_value(), size >= one);
  }
  write(magic_ + first + std::string(100, '\0'));  // of a machine that lost its power
  EXPECT_EQ(TopFile(path_).whole_bytes(), magic_.size() + first.size());
}

TEST_F(DistilledTop, TheLaterOfTwoCounts) {
  TopRecord later = some_record();
  later.ids[0] = 5;
  write(magic_ + to_bytes(some_record()) + to_bytes(later));
  EXPECT_EQ(TopFile(path_).find(kKey)->ids[0], 5);
}

TEST_F(DistilledTop, RefusesWhatIsDamaged) {
  const auto kind = [&](const std::string& bytes) {
    write(bytes);
    try {
      TopFile(path_).find(kKey);
    } catch (const Error& error) {
      return error.kind();
    }
    return ErrorKind::kUsage;
  };
  const std::string first = to_bytes(some_record());
  const auto with = [&](size_t at, std::string_view bytes) {
    return magic_ + std::string(first).replace(at, bytes.size(), bytes);
  };
  EXPECT_EQ(kind("{\"key\": 1}"), ErrorKind::kBadFile);
  EXPECT_EQ(kind("{"), ErrorKind::kBadFile);
  EXPECT_EQ(kind(with(32, std::string(4, '\0'))), ErrorKind::kBadFile);    // k = 0
  EXPECT_EQ(kind(with(32, std::string(4, '\xff'))), ErrorKind::kBadFile);  // k = 2^32 - 1
  EXPECT_EQ(kind(with(36, std::string(4, '\xff'))), ErrorKind::kUsage);  // more tokens than there are bytes: a cut end
  EXPECT_EQ(kind(with(40, "\xfe\xff\xff\xff")), ErrorKind::kBadFile);    // token -2
  EXPECT_EQ(kind(with(first.size() - 2, "\x01\x7e")), ErrorKind::kBadFile);                  // NaN
  EXPECT_EQ(kind(with(first.size() - 2, std::string("\x00\x3c", 2))), ErrorKind::kBadFile);  // ln p = 1
  EXPECT_THROW(TopFile("/nowhere.top"), Error);
}

TEST(DistilledVocabulary, IsEqualWhereEveryTokenIs) {
  const TinyVocabulary tiny = tiny_byte_level("gpt-2");
  TinyVocabulary more = tiny, other = tiny;
  more.add("<|more|>", kTinyControl);
  std::swap(other.tokens[10], other.tokens[11]);
  const std::string hash = vocabulary_sha256(*tiny.load());
  EXPECT_EQ(hash.size(), 64u);
  EXPECT_EQ(vocabulary_sha256(*tiny_byte_level("qwen2").load()), hash);  // the same tokens, cut otherwise
  EXPECT_NE(vocabulary_sha256(*more.load()), hash);
  EXPECT_NE(vocabulary_sha256(*other.load()), hash);
}

}  // namespace
}  // namespace fieldprint
