#include "base/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "fieldprint/error.h"

namespace fieldprint {

AtomicFile::AtomicFile(const std::string& path) : path_(path) {
  std::error_code error;
  if (const auto target = std::filesystem::canonical(path, error); !error) path_ = target.string();
  const auto status = std::filesystem::status(path_, error);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    throw Error(ErrorKind::kIo, "is not a regular file, so it is not overwritten", path);
  }
  // Unique among processes by the id, within one by the counter; O_EXCL finds what a dead process with our id left.
  static std::atomic<unsigned> counter{0};
  for (int tries = 0; tries < 100; ++tries) {
    temporary_ = path_ + ".part-" + std::to_string(::getpid()) + "-" + std::to_string(counter++);
    fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd_ >= 0 || errno != EEXIST) break;
  }
  if (fd_ < 0) fail("cannot create the file");
  pieces_ = PieceWriter(fd_);
}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) ::close(fd_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::fail(const char* what) const {
  throw Error(ErrorKind::kIo, std::string(what) + ": " + std::strerror(errno), path_);
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  if (!pieces_.write(bytes)) fail("cannot write the file");
}

void AtomicFile::commit() {
  if (!pieces_.flush() || ::fsync(fd_) != 0) fail("cannot write the file");
  const int fd = fd_;
  fd_ = -1;
  if (::close(fd) != 0) fail("cannot write the file");
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail("cannot rename the file into place");
  temporary_.clear();
  // The name itself reaches the disk with its folder; where a file system cannot do that, the file is whole all the
  // same.
  const std::filesystem::path parent = std::filesystem::path(path_).parent_path();
  const std::string folder = parent.empty() ? "." : parent.string();
  if (const int directory = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); directory >= 0) {
    ::fsync(directory);
    ::close(directory);
  }
}

void require_room(const std::string& path, uint64_t bytes) {
  std::error_code error;
  const auto folder = std::filesystem::absolute(path, error).parent_path();
  const auto space = std::filesystem::space(folder, error);
  if (error || space.available >= bytes) return;
  throw Error(ErrorKind::kIo,
              "the file takes " + std::to_string(bytes / 1'000'000) + " MB, the disk has " +
                  std::to_string(space.available / 1'000'000) + " MB left",
              path);
}

}  // namespace fieldprint
