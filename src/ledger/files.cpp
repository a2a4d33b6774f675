#include "ledger/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "fieldprint/error.h"

namespace fieldprint::ledger {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const char* what, const fs::path& path) {
  throw Error(ErrorKind::kIo, fmt::format("{}: {}", what, std::strerror(errno)), path.string());
}

class File {
 public:
  File(const fs::path& path, int flags)
      : path_(path), fd_(::open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, 0600)) {}
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  int fd() const { return fd_; }
  void require(const char* what) const {
    if (fd_ < 0) fail(what, path_);
  }
  void write(ByteView bytes) {
    while (!bytes.empty()) {
      const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) fail("cannot write the file", path_);
      bytes = bytes.subspan(static_cast<size_t>(written));
    }
  }
  void sync() {
    if (::fsync(fd_) != 0) fail("cannot write the file to the disk", path_);
  }

 private:
  const fs::path& path_;
  int fd_;
};

fs::path temporary_of(const fs::path& path) { return path.string() + ".new"; }

// One writer at a time works in these directories, so that what stands under the temporary name is a dead one's.
void write_aside(const fs::path& path, ByteView bytes) {
  const fs::path temporary = temporary_of(path);
  File file(temporary, O_WRONLY | O_CREAT | O_TRUNC);
  file.require("cannot create the file");
  file.write(bytes);
  file.sync();
  if (::rename(temporary.c_str(), path.c_str()) != 0) fail("cannot rename the file into place", path);
}

}  // namespace

std::optional<Bytes> read_file(const fs::path& path) {
  const File file(path, O_RDONLY);
  if (file.fd() < 0 && (errno == ENOENT || errno == ENOTDIR)) return std::nullopt;
  file.require("cannot open the file");
  struct stat status {};
  if (::fstat(file.fd(), &status) != 0) fail("cannot read the file", path);
  if (!S_ISREG(status.st_mode)) throw Error(ErrorKind::kBadFile, "is no plain file", path.string());
  Bytes bytes(static_cast<size_t>(status.st_size));
  size_t at = 0;
  while (at < bytes.size()) {
    const ssize_t got = ::read(file.fd(), bytes.data() + at, bytes.size() - at);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("cannot read the file", path);
    if (got == 0) break;
    at += static_cast<size_t>(got);
  }
  bytes.resize(at);
  return bytes;
}

void sync_directory(const fs::path& path) {
  const File folder(path, O_RDONLY | O_DIRECTORY);
  folder.require("cannot open the folder");
  if (::fsync(folder.fd()) != 0) fail("cannot write the folder to the disk", path);
}

void replace_file(const fs::path& path, ByteView bytes) {
  write_aside(path, bytes);
  sync_directory(path.has_parent_path() ? path.parent_path() : ".");
}

void WriteOnceFiles::make_folder(const fs::path& folder) {
  if (::mkdir(folder.c_str(), 0700) == 0) {
    unsynced_.insert(folder.parent_path());
    return;
  }
  if (errno == ENOENT) {
    make_folder(folder.parent_path());
    if (::mkdir(folder.c_str(), 0700) != 0) fail("cannot create the folder", folder);
    unsynced_.insert(folder.parent_path());
  } else if (errno != EEXIST) {
    fail("cannot create the folder", folder);
  }
}

void WriteOnceFiles::write(const std::string& name, ByteView bytes) {
  const fs::path path = root_ / name;
  if (const auto there = read_file(path)) {
    if (!std::ranges::equal(*there, bytes)) {
      throw Error(ErrorKind::kBadFile, "is there already, with other bytes than it has to have", path.string());
    }
  } else {
    if (!fs::is_directory(path.parent_path())) make_folder(path.parent_path());
    write_aside(path, bytes);
  }
  unsynced_.insert(path.parent_path());  // its name may not have reached the disk before a crash
}

void WriteOnceFiles::sync() {
  for (const fs::path& folder : unsynced_) sync_directory(folder);
  unsynced_.clear();
}

std::string file_identity(const fs::path& path) {
  struct statx status {};
  if (::statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW, STATX_INO | STATX_BTIME, &status) != 0) {
    fail("cannot look at the file", path);
  }
  if ((status.stx_mask & STATX_BTIME) == 0) {
    return fmt::format("{}@{}:{}", status.stx_ino, status.stx_dev_major, status.stx_dev_minor);
  }
  return fmt::format("{}@{}.{:09}", status.stx_ino, status.stx_btime.tv_sec, status.stx_btime.tv_nsec);
}

}  // namespace fieldprint::ledger
