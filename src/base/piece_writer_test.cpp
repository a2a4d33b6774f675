#include "base/piece_writer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>

#include "base/huge_memory.h"

namespace fieldprint {
namespace {

std::vector<std::byte> numbered(size_t bytes) {
  std::vector<std::byte> out(bytes);
  for (size_t i = 0; i < bytes; ++i) out[i] = static_cast<std::byte>(i % 251);
  return out;
}

class PieceWriterTest : public ::testing::Test {
 protected:
  PieceWriterTest() : fd_(::mkstemp(name_)) { ::unlink(name_); }
  ~PieceWriterTest() override { ::close(fd_); }

  size_t on_disk() const {
    struct stat status {};
    return ::fstat(fd_, &status) == 0 ? static_cast<size_t>(status.st_size) : ~size_t{0};
  }
  std::vector<std::byte> content() const {
    std::vector<std::byte> out(on_disk());
    EXPECT_EQ(::pread(fd_, out.data(), out.size(), 0), static_cast<ssize_t>(out.size()));
    return out;
  }

  char name_[32] = "/tmp/piece_writer_XXXXXX";
  int fd_;
};

TEST_F(PieceWriterTest, HandsOnWholeAlignedPieces) {
  const std::vector<std::byte> data = numbered(2 * kHugePage + 1000);
  PieceWriter pieces(fd_, 0);
  size_t given = 0;
  for (const size_t bytes : {size_t{1}, kHugePage - 2, kHugePage + 500, size_t{501}}) {
    ASSERT_TRUE(pieces.write(std::span(data).subspan(given, bytes)));
    given += bytes;
    EXPECT_EQ(pieces.size(), given);
    EXPECT_EQ(on_disk(), given / kHugePage * kHugePage);
  }
  ASSERT_EQ(given, data.size());
  ASSERT_TRUE(pieces.flush());
  EXPECT_EQ(content(), data);
}

TEST_F(PieceWriterTest, GoesOnAtAnOffsetToTheNextBoundary) {
  const std::vector<std::byte> data = numbered(kHugePage + 10);
  ASSERT_EQ(::write(fd_, data.data(), 100), 100);
  PieceWriter pieces(fd_, 100);
  ASSERT_TRUE(pieces.write(std::span(data).subspan(100)));
  EXPECT_EQ(on_disk(), kHugePage);
  ASSERT_TRUE(pieces.flush());
  EXPECT_EQ(content(), data);
}

TEST(PieceWriter, TellsOfAFullDisk) {
  const int full = ::open("/dev/full", O_WRONLY);
  ASSERT_GE(full, 0);
  PieceWriter pieces(full, 0);
  EXPECT_TRUE(pieces.write(numbered(1)));
  errno = 0;
  EXPECT_FALSE(pieces.flush());
  EXPECT_EQ(errno, ENOSPC);
  EXPECT_FALSE(pieces.write(numbered(kHugePage)));
  ::close(full);
}

TEST_F(PieceWriterTest, GoesOnBehindWhatADiskTookBeforeItWasFull) {
  struct rlimit before {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = ::signal(SIGXFSZ, SIG_IGN);
  const std::vector<std::byte> data = numbered(5000);
  PieceWriter pieces(fd_, 0);
  ASSERT_TRUE(pieces.write(data));
  const struct rlimit small { 1000, before.rlim_max };
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const bool flushed = pieces.flush();
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  ::signal(SIGXFSZ, handler);
  EXPECT_FALSE(flushed);
  EXPECT_EQ(on_disk(), 1000u);
  EXPECT_TRUE(pieces.flush());
  EXPECT_EQ(content(), data);
}

}  // namespace
}  // namespace fieldprint
