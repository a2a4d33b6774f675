#include "override/journal.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <random>

#include "fieldprint/error.h"
#include "support/temp_home.h"
#include "support/trials.h"

namespace fieldprint::overrides {
namespace {

class OverrideJournal : public ::testing::Test {
 protected:
  OverrideJournal() { Journal::create(path, begin); }

  static Entry entry(int number) { return {EntryKind::kCommand, number, "entry " + std::to_string(number)}; }
  void append(int count) {
    Journal journal(path);
    for (int i = 0; i < count; ++i) journal.append(entry(i));
  }
  void overwrite(size_t at, const std::string& bytes) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(at));
    file << bytes;
  }

  TempHome home;
  std::string path = (home.path() / "journal").string();
  Entry begin = begin_entry("tester", std::string(32, '0'), 1);
};

TEST_F(OverrideJournal, KeepsEntriesBeyondWhatItBeganWith) {
  const int count = static_cast<int>(kSlotsPerGrowth) + 8;
  append(count);
  const JournalText text = read_journal(path);
  ASSERT_EQ(text.entries.size(), count + 1u);
  EXPECT_EQ(text.entries[0], begin);
  for (int i = 0; i < count; ++i) ASSERT_EQ(text.entries[i + 1], entry(i));
  EXPECT_GE(std::filesystem::file_size(path), (text.entries.size() + kSlotsFree) * kSlotBytes);
}

TEST_F(OverrideJournal, HasOneWriter) {
  const Journal journal(path);
  EXPECT_THROW(Journal{path}, Error);
}

TEST_F(OverrideJournal, AnEntryThatWasBeingWrittenIsNotThere) {
  append(3);
  const std::string whole = read_file(path);
  const std::string slot = whole.substr(3 * kSlotBytes, kSlotBytes);
  for (size_t written = 1; written < kSlotBytes; written += written < 200 ? 1 : 97) {
    // Of the slot's bytes some have come to the disk: from its start, or in sectors of 512.
    for (const bool sectors : {false, true}) {
      std::string part(kSlotBytes, '\0');
      if (sectors) part.replace(written / 512 * 512, 512, slot, written / 512 * 512, 512);
      else part.replace(0, written, slot, 0, written);
      if (part == slot) continue;
      overwrite(3 * kSlotBytes, part);
      ASSERT_EQ(read_journal(path).entries.size(), 3u) << written;
    }
  }
  Journal(path).append(entry(7));
  const JournalText text = read_journal(path);
  ASSERT_EQ(text.entries.size(), 4u);
  EXPECT_EQ(text.entries[3], entry(7));
}

using OverrideJournalTrial = OverrideJournal;
TEST_F(OverrideJournalTrial, DamageBeforeTheLastEntryIsFound) {
  append(3);
  const std::string whole = read_file(path);
  std::mt19937 random(2);
  for (int i = 0; i < trials(5'000); ++i) {
    const size_t at = random() % (3 * kSlotBytes);
    overwrite(at, std::string(1, static_cast<char>(whole[at] ^ 1 << random() % 8)));
    EXPECT_THROW(read_journal(path), Error) << at;
    overwrite(at, whole.substr(at, 1));
  }
  // Slots in another order, one that is missing, one twice.
  overwrite(kSlotBytes, whole.substr(2 * kSlotBytes, kSlotBytes) + whole.substr(kSlotBytes, kSlotBytes));
  EXPECT_THROW(read_journal(path), Error);
  overwrite(0, whole.substr(kSlotBytes, 3 * kSlotBytes) + std::string(kSlotBytes, '\0'));
  EXPECT_THROW(read_journal(path), Error);
  overwrite(0, whole.substr(0, 4 * kSlotBytes) + whole.substr(3 * kSlotBytes, kSlotBytes));
  EXPECT_EQ(read_journal(path).entries.size(), 4u);  // the copy is taken for one that was being written
  overwrite(0, whole);
  EXPECT_EQ(read_journal(path).entries.size(), 4u);
}

TEST_F(OverrideJournal, OfAnotherSizeOrKindIsRefused) {
  EXPECT_THROW(read_journal(path + "2"), Error);
  write_file(path + "2", "");
  EXPECT_THROW(read_journal(path + "2"), Error);
  write_file(path + "2", std::string(3 * kSlotBytes, '\0'));
  EXPECT_THROW(read_journal(path + "2"), Error);
  write_file(path + "2", read_file(path).substr(0, kSlotBytes - 1));
  EXPECT_THROW(read_journal(path + "2"), Error);
  write_file(path + "2", read_file(path).substr(0, kSlotBytes + 9));
  EXPECT_EQ(read_journal(path + "2").entries.size(), 1u);
}

// A limit on the size of files, which nothing may grow beyond, stands for a disk that is full.
TEST_F(OverrideJournal, OnAFullDiskTakesWhatItHasRoomFor) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{kSlotsPerGrowth * kSlotBytes, kSlotsPerGrowth * kSlotBytes};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    int fit = 0;
    try {
      Journal journal(path);
      for (;; ++fit) journal.append(entry(fit));
    } catch (const Error& error) {
      ::_exit(error.kind() == ErrorKind::kLimit && fit == static_cast<int>(kSlotsPerGrowth) - 1 ? 0 : 1);
    }
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(read_journal(path).entries.size(), kSlotsPerGrowth);
}

}  // namespace
}  // namespace fieldprint::overrides
