#include "override/flags.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <random>

#include "fieldprint/error.h"
#include "override/accept.h"
#include "support/override_people.h"
#include "support/trials.h"

namespace fieldprint::overrides {
namespace {

constexpr int64_t kNow = OverridePeople::kNow;

TEST(OverrideFlags, AWordSaysWhetherItIsRight) {
  EXPECT_FALSE(unguarded(0));
  EXPECT_FALSE(unguarded(~uint64_t{0}));
  std::mt19937_64 random(3);
  for (int i = 0; i < 200; ++i) {
    const uint64_t value = random() >> 24, word = guarded(value);
    ASSERT_EQ(unguarded(word), value);
    for (int a = 0; a < 64; ++a) {
      ASSERT_FALSE(unguarded(word ^ uint64_t{1} << a));
      for (int b = 0; b < a; ++b) ASSERT_FALSE(unguarded(word ^ uint64_t{1} << a ^ uint64_t{1} << b));
    }
  }
}

class OverrideReader : public ::testing::Test {
 protected:
  std::string flags() const { return folder.path() + "/flags"; }
  std::string journal() const { return folder.path() + "/journal"; }

  OverrideEntry accept(Kind kind) {
    Acceptor acceptor(Files(folder.path()), kInstance, kNow);
    return acceptor.accept(people.sign(people.next(acceptor.state(), kind)), kNow);
  }
  void restore() {
    Acceptor acceptor(Files(folder.path()), kInstance, kNow);
    acceptor.logged(acceptor.accept(people.sign(people.next(acceptor.state(), Kind::kRestore)), kNow).counter, kNow);
  }
  bool closed() const {
    const OverrideFlags reader(folder.path());
    return reader.now().flags == kEverything && !reader.fault().empty();
  }
  static void overwrite(const std::string& path, size_t at, const std::string& bytes) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(at));
    file << bytes;
  }

  const std::string kInstance = std::string(32, '7');
  OverridePeople people;
  OverrideFolder folder{people};
};

TEST_F(OverrideReader, SaysNothingAtFirst) {
  const OverrideFlags reader(folder.path());
  EXPECT_EQ(reader.fault(), "");
  EXPECT_EQ(reader.now().flags, 0);
  EXPECT_EQ(reader.counter(), 0u);
}

TEST_F(OverrideReader, SeesWhatIsInForceWithoutBeingTold) {
  const OverrideFlags reader(folder.path());
  const uint64_t epoch = reader.now().epoch;
  accept(Kind::kNoAnchors);
  EXPECT_TRUE(reader.now().no_anchors());
  EXPECT_FALSE(reader.now().halted());
  EXPECT_GT(reader.now().epoch, epoch);
  EXPECT_EQ(reader.counter(), 1u);
  EXPECT_EQ(reader.instance(), kInstance);
  accept(Kind::kRevoke);
  EXPECT_EQ(reader.counter(), 2u);
  restore();
  EXPECT_EQ(reader.now().flags, 0);
}

// The process is dead throughout: each Acceptor ends before the reader looks.
TEST_F(OverrideReader, TheLastStateStands) {
  accept(Kind::kHalt);
  accept(Kind::kFreezeWrites);
  EXPECT_EQ(OverrideFlags(folder.path()).now().flags, kHalted | kFrozen);
}

TEST_F(OverrideReader, APageThatIsBehindTheJournalIsNotBelieved) {
  const std::string before = read_file(flags());
  accept(Kind::kHalt);
  overwrite(flags(), 0, before);  // as after a power cut
  const OverrideFlags reader(folder.path());
  EXPECT_EQ(reader.fault(), "");
  EXPECT_EQ(reader.now().flags, kHalted);
  EXPECT_EQ(reader.counter(), 1u);
  accept(Kind::kNoAnchors);
  EXPECT_EQ(reader.now().flags, kHalted | kNoAnchors);
}

TEST_F(OverrideReader, AJournalThatIsBehindThePageClosesEverythingUntilRestore) {
  accept(Kind::kRevoke);
  const std::string before = read_file(journal());
  accept(Kind::kHalt);
  overwrite(journal(), 0, before);
  EXPECT_TRUE(closed());
  accept(Kind::kRevoke);  // the process starts again: it goes on, above the counter that it had
  const OverrideFlags reader(folder.path());
  EXPECT_EQ(reader.fault(), "");
  EXPECT_EQ(reader.now().flags, kEverything);
  EXPECT_EQ(reader.counter(), 3u);
  restore();
  EXPECT_EQ(reader.now().flags, 0);
}

TEST_F(OverrideReader, MissingFilesCloseEverything) {
  for (const char* name : {"/flags", "/journal", "/root"}) {
    const std::string path = folder.path() + name;
    std::filesystem::rename(path, path + ".away");
    EXPECT_TRUE(closed()) << name;
    std::filesystem::rename(path + ".away", path);
    EXPECT_FALSE(closed()) << name;
  }
  EXPECT_EQ(OverrideFlags(folder.path() + "/none").now().flags, kEverything);
  EXPECT_EQ(OverrideFlags(folder.path() + "/none").now().epoch, kEpochUnknown);
}

TEST_F(OverrideReader, AMissingPageIsMadeAnewWithEverythingClosed) {
  std::filesystem::remove(flags());
  accept(Kind::kRevoke);
  EXPECT_EQ(OverrideFlags(folder.path()).now().flags, kEverything);
  restore();
  EXPECT_EQ(OverrideFlags(folder.path()).now().flags, 0);
}

TEST_F(OverrideReader, NumbersThatSomebodyMadeUpAreNotBelieved) {
  {
    FlagsPage page(flags(), true);
    page.set(0xFFFFFFFF, 0, kCounterMax);
  }
  EXPECT_TRUE(closed());
  accept(Kind::kHalt);
  EXPECT_EQ(OverrideFlags(folder.path()).counter(), 1u);
  restore();
  EXPECT_EQ(OverrideFlags(folder.path()).now().flags, 0);
}

TEST_F(OverrideReader, ARootFileThatMayBeWrittenClosesEverything) {
  ASSERT_EQ(::chmod((folder.path() + "/root").c_str(), 0644), 0);
  EXPECT_TRUE(closed());
}

TEST_F(OverrideReader, ADamagedJournalEndsTheProcessWithEverythingClosed) {
  const OverrideFlags reader(folder.path());
  accept(Kind::kRevoke);
  accept(Kind::kRevoke);
  overwrite(journal(), kSlotBytes + 100, "x");
  EXPECT_THROW(accept(Kind::kRevoke), Error);
  EXPECT_EQ(reader.now().flags, kEverything);
}

// Every bit that was flipped is found, or changes nothing of what is read.
using OverrideReaderTrial = OverrideReader;
TEST_F(OverrideReaderTrial, FlippedBitsAreFound) {
  accept(Kind::kNoAnchors);
  accept(Kind::kSuspendSource);
  const uint8_t good = OverrideFlags(folder.path()).now().flags;
  const size_t lengths[] = {4 * kSlotBytes, 128};  // of the journal: one that is free, too
  std::mt19937 random(4);
  for (int i = 0; i < trials(20'000); ++i) {
    const int file = i % 2;
    const std::string path = file == 0 ? journal() : flags();
    const size_t at = random() % lengths[file];
    const std::string before = read_file(path).substr(at, 1);
    overwrite(path, at, std::string(1, static_cast<char>(before[0] ^ 1 << random() % 8)));
    const OverrideFlags reader(folder.path());
    const bool found = reader.now().flags == kEverything && !reader.fault().empty();
    const bool free = file == 0 ? at >= 3 * kSlotBytes : at >= 8 && (at < 64 || at >= 72);
    ASSERT_TRUE(found || (free && reader.now().flags == good)) << path << " " << at;
    overwrite(path, at, before);
  }
  EXPECT_EQ(OverrideFlags(folder.path()).now().flags, good);
}

TEST_F(OverrideReader, CostsNanoseconds) {
  const OverrideFlags reader(folder.path());
  const auto start = std::chrono::steady_clock::now();
  uint64_t sum = 0;
  constexpr int kReads = 1'000'000;
  for (int i = 0; i < kReads; ++i) sum += reader.now().epoch;
  const double ns = std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count() / kReads;
  RecordProperty("nanoseconds", std::to_string(ns));
  EXPECT_EQ(sum, reader.now().epoch * kReads);
  EXPECT_LT(ns, 1'000);
}

}  // namespace
}  // namespace fieldprint::overrides
