#include "fieldprint/atomic_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/piece_writer.h"
#include "fieldprint/error.h"

namespace fieldprint {
namespace {

namespace fs = std::filesystem;

fs::path folder_of(const fs::path& path) { return path.has_parent_path() ? path.parent_path() : fs::path("."); }

// "PID-N"
bool is_numbered(std::string_view text) {
  const size_t dash = text.find('-');
  const auto digits = [](std::string_view part) {
    return !part.empty() && part.find_first_not_of("0123456789") == std::string_view::npos;
  };
  return dash != std::string_view::npos && digits(text.substr(0, dash)) && digits(text.substr(dash + 1));
}

}  // namespace

// A writer holds a lock on its temporary file as long as it lives, and the system drops it when it is killed.
void remove_dead_temporaries(const std::string& of) {
  const fs::path path = of;
  const std::string prefix = path.filename().string() + ".part-";
  std::error_code error;
  for (fs::directory_iterator it(folder_of(path), error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (!name.starts_with(prefix) || !is_numbered(std::string_view(name).substr(prefix.size()))) continue;
    const int fd = ::open(it->path().c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) continue;
    struct stat status {};
    const bool ours = ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == ::geteuid();
    if (ours && ::flock(fd, LOCK_EX | LOCK_NB) == 0) ::unlink(it->path().c_str());
    ::close(fd);
  }
}

AtomicFile::AtomicFile(const std::string& path) : path_(path) {
  std::error_code error;
  if (const auto target = fs::canonical(path, error); !error) path_ = target.string();
  const auto type = fs::status(path_, error).type();
  if (type == fs::file_type::directory) throw Error(ErrorKind::kIo, "is a folder, not a file", path);
  if (type == fs::file_type::block) throw Error(ErrorKind::kIo, "is a disk, so it is not overwritten", path);
  if (type == fs::file_type::character || type == fs::file_type::fifo || type == fs::file_type::socket) {
    fd_ = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC);
  } else {
    remove_dead_temporaries(path_);
    create_temporary();
  }
  if (fd_ < 0) fail("cannot create the file");
  pieces_ = std::make_unique<PieceWriter>(fd_);
}

// Unique among processes by the id, within one by the counter. O_EXCL finds what a process of the same id has left or
// planted there.
void AtomicFile::create_temporary() {
  static std::atomic<unsigned> counter{0};
  for (int tries = 0; tries < 100; ++tries) {
    temporary_ = fmt::format("{}.part-{}-{}", path_, ::getpid(), counter++);
    fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd_ < 0 && errno == EEXIST) continue;
    if (fd_ < 0) break;
    struct stat status {};
    // Another writer may have taken it for a dead one's before it was locked.
    if (::flock(fd_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) ::flock(fd_, LOCK_EX);
    if (::fstat(fd_, &status) == 0 && status.st_nlink > 0) return;
    ::close(fd_);
    fd_ = -1;
  }
  temporary_.clear();
}

AtomicFile::~AtomicFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
  if (fd_ >= 0) ::close(fd_);
}

void AtomicFile::fail(const char* what) const {
  throw Error(ErrorKind::kIo, fmt::format("{}: {}", what, std::strerror(errno)), path_);
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  if (!pieces_->write(bytes)) fail("cannot write the file");
}

void AtomicFile::commit() {
  if (!pieces_->flush()) fail("cannot write the file");
  if (temporary_.empty()) return;
  if (::fsync(fd_) != 0) fail("cannot write the file");
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail("cannot rename the file into place");
  temporary_.clear();
  const int fd = fd_;
  fd_ = -1;
  if (::close(fd) != 0) fail("cannot write the file");
  // The name itself reaches the disk with its folder; where a file system cannot do that, the file is whole all the
  // same.
  if (const int folder = ::open(folder_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); folder >= 0) {
    ::fsync(folder);
    ::close(folder);
  }
}

void require_room(const std::string& path, uint64_t bytes) {
  std::error_code error;
  const auto folder = fs::absolute(path, error).parent_path();
  const auto space = fs::space(folder, error);
  if (error || space.available >= bytes) return;
  throw Error(
      ErrorKind::kIo,
      fmt::format("the file takes {} MB, the disk has {} MB left", bytes / 1'000'000, space.available / 1'000'000),
      path);
}

void require_writable(const std::string& path) { const AtomicFile probe(path); }

}  // namespace fieldprint
