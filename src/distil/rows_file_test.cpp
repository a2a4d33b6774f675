#include "distil/rows_file.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <functional>

#include "distil/key.h"
#include "fieldprint/distil.h"
#include "fieldprint/error.h"
#include "support/files.h"

namespace fieldprint {
namespace {

namespace fs = std::filesystem;

class DistilRows : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = (fs::temp_directory_path() / ("fieldprint-rows-" + std::to_string(::getpid()))).string();
    fs::remove_all(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  static RowsFile::Finished finished(int i, bool top = true, std::string content = "yes") {
    RowsFile::Finished one;
    TeacherRow& row = one.row;
    row.messages = R"([{"role":"user","content":")" + std::to_string(i) + R"("}])";
    row.sampling = row_sampling("{}", 0, top ? 1 : 0);
    row.teacher.name = "t";
    row.key = row_key(row);
    row.seed = row_seed(row.key);
    row.content = std::move(content);
    row.token_ids = {4, 5};
    if (top) one.top = {.key = {}, .k = 1, .ids = {4, 5}, .logp = {-1, -1}, .tail = {-0.5f, -0.5f}};
    return one;
  }

  static RowsFile::Finished failed(int i, std::string detail, int attempts) {
    RowsFile::Finished one = finished(i, true, "");
    one.top.k = 0;
    one.row.token_ids.clear();
    one.row.failure = "server";
    one.row.detail = std::move(detail);
    one.row.attempts = attempts;
    return one;
  }

  void append(std::vector<RowsFile::Finished> rows, int shard = 1) const { RowsFile(folder_, shard).append(rows); }
  std::string path(const char* name) const { return folder_ + "/" + name; }

  std::string folder_;
};

TEST_F(DistilRows, WhatAKillLeftHalfWrittenIsCutOff) {
  append({finished(1), finished(2)});
  const std::string rows = slurp(path("rows-1.jsonl")), top = slurp(path("rows-1.top"));
  append({finished(3)});
  const std::string more = slurp(path("rows-1.jsonl")).substr(rows.size());
  const std::string more_top = slurp(path("rows-1.top")).substr(top.size());
  // A kill anywhere within the writing of the third: first its record grows, then its line.
  for (size_t at = 0; at <= more_top.size() + more.size() - 1; at += 7) {
    spill(path("rows-1.top"), top + more_top.substr(0, std::min(at, more_top.size())));
    spill(path("rows-1.jsonl"), rows + more.substr(0, at - std::min(at, more_top.size())));
    { const RowsFile file(folder_, 1); }
    ASSERT_EQ(slurp(path("rows-1.jsonl")), rows) << at;
    ASSERT_EQ(slurp(path("rows-1.top")), top) << at;
    append({finished(3)});
    ASSERT_EQ(slurp(path("rows-1.jsonl")), rows + more) << at;
    ASSERT_EQ(slurp(path("rows-1.top")), top + more_top) << at;
  }
  // What a power cut may leave.
  for (const std::string& tail : {std::string(100, '\0'), std::string(100, '\0') + more.substr(0, more.size() - 1)}) {
    spill(path("rows-1.jsonl"), rows + tail);
    { const RowsFile file(folder_, 1); }
    EXPECT_EQ(slurp(path("rows-1.jsonl")), rows);
  }
}

TEST_F(DistilRows, DamageIsNoKillAndIsSaid) {
  append({finished(1), finished(2)});
  const std::string rows = slurp(path("rows-1.jsonl"));
  spill(path("rows-1.jsonl"), "{\"key\": 3}\n" + rows);
  EXPECT_NE(refusal([&] { RowsFile(folder_, 1); }).find("rows-1.jsonl:1"), std::string::npos);
  spill(path("rows-1.jsonl"), rows);
  fs::remove(path("rows-1.top"));
  EXPECT_NE(refusal([&] { RowsFile(folder_, 1); }).find("are gone"), std::string::npos);
}

TEST_F(DistilRows, AZeroByteAmongRowsDeletesNoneBehindIt) {
  append({finished(1, false), finished(2, false), finished(3, false)});
  std::string rows = slurp(path("rows-1.jsonl"));
  rows[rows.find('\n') + 20] = '\0';
  spill(path("rows-1.jsonl"), rows);
  for (const std::function<void()>& read :
       {std::function<void()>([&] { RowsFile(folder_, 1); }), std::function<void()>([&] { known_rows(folder_); }),
        std::function<void()>([&] { merge_distil({folder_}, path("m.jsonl")); })})
    EXPECT_NE(refusal(read).find("rows-1.jsonl:2"), std::string::npos);
  EXPECT_EQ(slurp(path("rows-1.jsonl")), rows);
}

TEST_F(DistilRows, ADamagedRecordIsSaidBeforeAnythingIsAsked) {
  append({finished(1), finished(2)});
  std::string top = slurp(path("rows-1.top"));
  top.back() ^= 1;
  spill(path("rows-1.top"), top);
  const std::string second = finished(2).row.key.substr(0, 16);
  try {
    RowsFile(folder_, 1);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("of " + second), std::string::npos) << error.what();
    // What the hint says to do works.
    const std::string hint = error.hint(), command = hint.substr(hint.find("sed "));
    ASSERT_EQ(std::system(command.c_str()), 0) << command;
  }
  append({finished(2)});
  EXPECT_EQ(merge_distil({folder_}, path("merged.jsonl")).records, 2);
}

TEST_F(DistilRows, MergeWritesOverNothingButItsOwn) {
  append({finished(1), finished(2)});
  EXPECT_NE(refusal([&] { merge_distil({folder_}, path("out.top")); }).find("out.top"), std::string::npos);
  EXPECT_FALSE(fs::exists(path("out.top")));
  spill(path("keep.top"), "of somebody");
  EXPECT_NE(refusal([&] { merge_distil({folder_}, path("keep.jsonl")); }).find("in the way"), std::string::npos);
  EXPECT_EQ(slurp(path("keep.top")), "of somebody");
  spill(path("own.top"), std::string(kTopMagic) + "old");
  merge_distil({folder_}, path("own.jsonl"));
  EXPECT_EQ(slurp(path("own.top")).size(), fs::file_size(path("rows-1.top")));
}

TEST_F(DistilRows, MergeTakesARowWithoutALinesEndAndSaysWhatItLeavesOut) {
  append({finished(1, false), finished(2, false)});
  const DistilMerged whole = merge_distil({folder_}, path("whole.jsonl"));
  std::string rows = slurp(path("rows-1.jsonl"));
  rows.pop_back();
  spill(path("rows-1.jsonl"), rows);
  const DistilMerged unended = merge_distil({folder_}, path("unended.jsonl"));
  EXPECT_EQ(unended.sha256, whole.sha256);
  EXPECT_TRUE(unended.notes.empty());
  rows.pop_back();
  spill(path("rows-1.jsonl"), rows);
  const DistilMerged cut = merge_distil({folder_}, path("cut.jsonl"));
  EXPECT_EQ(cut.rows, 1);
  EXPECT_EQ(cut.notes.size(), 1u);
  spill(path("x.gguf"), std::string("GGUF\0\0\n\n", 8));
  EXPECT_NE(refusal([&] { merge_distil({path("x.gguf")}, path("x.jsonl")); }).find("no file of rows"),
            std::string::npos);
}

TEST_F(DistilRows, AShardHasOneRunAtATime) {
  const RowsFile file(folder_, 1);
  EXPECT_NE(refusal([&] { RowsFile(folder_, 1); }).find("another run"), std::string::npos);
  const RowsFile other(folder_, 2);
}

TEST_F(DistilRows, MergedFilesAreEqualWhateverTheShardsAndWhatFailed) {
  append({finished(1), finished(2), failed(3, "HTTP 500", 6), failed(4, "HTTP 500", 6)});
  append({finished(3)});
  const DistilMerged one = merge_distil({folder_}, path("merged.jsonl"));
  EXPECT_EQ(one.rows, 4);
  EXPECT_EQ(one.failed, 1) << "an answer wins over a failure";
  EXPECT_EQ(one.repeated, 1);
  EXPECT_EQ(one.records, 3);
  const std::string first = slurp(path("merged.jsonl")), first_top = slurp(path("merged.top"));

  fs::remove_all(folder_);
  append({failed(4, "HTTP 503: busy", 2), finished(3)}, 2);
  append({finished(2)}, 5);
  append({finished(1), finished(2)}, 1);
  const DistilMerged two = merge_distil({folder_}, path("merged.jsonl"));
  EXPECT_EQ(two.repeated, 1);
  EXPECT_EQ(slurp(path("merged.jsonl")), first);
  EXPECT_EQ(slurp(path("merged.top")), first_top);
  EXPECT_EQ(two.sha256, one.sha256);
  EXPECT_EQ(two.top_sha256, one.top_sha256);
  EXPECT_TRUE(two.notes.empty());
  // A merged file merges as folders do.
  const DistilMerged three = merge_distil({path("merged.jsonl"), folder_}, path("again.jsonl"));
  EXPECT_EQ(three.sha256, one.sha256);
}

}  // namespace
}  // namespace fieldprint
