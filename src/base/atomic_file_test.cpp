#include "fieldprint/atomic_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "support/files.h"
#include "support/temp_home.h"

namespace fieldprint {
namespace {

namespace fs = std::filesystem;

class AtomicFileTest : public testing::Test {
 protected:
  std::string path(const char* name = "out.bin") const { return (home_.path() / name).string(); }
  std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const auto& entry : fs::directory_iterator(home_.path())) all.push_back(entry.path().filename().string());
    std::sort(all.begin(), all.end());
    return all;
  }
  TempHome home_;
};

TEST_F(AtomicFileTest, AppearsWholeOrNotAtAll) {
  spill(path(), "old");
  {
    AtomicFile file(path());
    file.write("new and longer");
    EXPECT_EQ(slurp(path()), "old");
  }
  EXPECT_EQ(slurp(path()), "old");
  EXPECT_EQ(names(), std::vector<std::string>{"out.bin"});
  AtomicFile file(path());
  file.write("new ");
  file.write("and longer");
  file.commit();
  EXPECT_EQ(slurp(path()), "new and longer");
  EXPECT_EQ(names(), std::vector<std::string>{"out.bin"});
}

// Writes through a name of the form OUT.PID.part followed a link that somebody else had put there.
TEST_F(AtomicFileTest, APlantedLinkIsNotFollowed) {
  spill(path("victim"), "precious");
  for (int n = 0; n < 200; ++n) {  // whatever number comes next
    const std::string planted = path() + ".part-" + std::to_string(::getpid()) + "-" + std::to_string(n);
    fs::create_symlink(path("victim"), planted);
  }
  try {
    AtomicFile file(path());
    file.write("mine");
    file.commit();
    EXPECT_EQ(slurp(path()), "mine");
  } catch (const Error& error) {  // all names taken: refused is right as well
    EXPECT_EQ(error.kind(), ErrorKind::kIo);
  }
  EXPECT_EQ(slurp(path("victim")), "precious");
}

TEST_F(AtomicFileTest, ALinkOfTheUsersOwnKeepsItsPlace) {
  spill(path("target"), "old");
  fs::create_symlink("target", path());
  AtomicFile file(path());
  file.write("new");
  file.commit();
  EXPECT_TRUE(fs::is_symlink(path()));
  EXPECT_EQ(slurp(path("target")), "new");
}

// kill -9 left OUT.part-PID-N for ever.
TEST_F(AtomicFileTest, WhatAKilledWriterLeftIsRemovedByTheNext) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    AtomicFile file(path());
    ::kill(::getpid(), SIGKILL);
  }
  ::waitpid(child, nullptr, 0);
  ASSERT_EQ(names().size(), 1u);
  spill(path("out.bin.part-1-x"), "not of ours");
  spill(path("out.bin.part"), "of an imatrix that goes on");
  spill(path("other.bin.part-1-1"), "of another target");
  AtomicFile living(path());  // its temporary stays while it lives
  {
    AtomicFile file(path());
    file.write("second");
    file.commit();
  }
  living.write("third");
  living.commit();
  EXPECT_EQ(slurp(path()), "third");
  EXPECT_EQ(names(), (std::vector<std::string>{"other.bin.part-1-1", "out.bin", "out.bin.part", "out.bin.part-1-x"}));
}

TEST_F(AtomicFileTest, ManyWritersOfOneFileAllSucceed) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int round = 0; round < 50; ++round) {
        AtomicFile file(path());
        file.write(std::string(1000, static_cast<char>('a' + t)));
        file.commit();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const std::string content = slurp(path());
  EXPECT_EQ(content, std::string(1000, content.at(0)));
  EXPECT_EQ(names(), std::vector<std::string>{"out.bin"});
}

TEST_F(AtomicFileTest, DevicesAndPipesAreWrittenTo) {
  {
    AtomicFile null("/dev/null");
    null.write("x");
    null.commit();
  }
  AtomicFile full("/dev/full");
  full.write("x");
  EXPECT_NE(refusal([&] { full.commit(); }).find("/dev/full: cannot write the file: No space left"), std::string::npos);
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  std::string read;
  std::thread reader([&] { read = slurp(path("pipe")); });
  {
    AtomicFile pipe(path("pipe"));
    pipe.write("through");
    pipe.commit();
  }
  reader.join();
  EXPECT_EQ(read, "through");
}

TEST_F(AtomicFileTest, RefusalsNameThePath) {
  EXPECT_EQ(refusal([&] { AtomicFile file(home_.path().string()); }),
            home_.path().string() + ": is a folder, not a file");
  EXPECT_EQ(refusal([&] { require_writable(path("no/such")); }),
            path("no/such") + ": cannot create the file: No such file or directory");
  EXPECT_EQ(refusal([&] { require_writable(path()); }), "");
  EXPECT_TRUE(names().empty());
}

}  // namespace
}  // namespace fieldprint
