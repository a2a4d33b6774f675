#include "hub/store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "base/sha256.h"
#include "fieldprint/catalog.h"
#include "fieldprint/error.h"

namespace fieldprint {
namespace {

[[noreturn]] void fail(const std::string& what, const std::filesystem::path& path, int error) {
  const std::string hint = error == ENOSPC || error == EDQUOT  ? kMakeRoom
                           : error == EACCES || error == EROFS ? "set XDG_DATA_HOME to a folder that you can write to"
                                                               : "";
  throw Error(ErrorKind::kIo, fmt::format("{}: {}", what, std::strerror(error)), path.string(), hint);
}

int open_or_fail(const std::filesystem::path& path, int flags) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC, 0644);
  if (fd < 0) fail("cannot open the file", path, errno);
  return fd;
}

}  // namespace

Place place_of(const std::string& name) {
  const std::filesystem::path models = models_directory();
  const std::string work = (models / ".pull" / name).string();
  return {models / name, work + ".part", work + ".part.tag", work + ".tmp", work + ".lock"};
}

PullLock::PullLock(const Place& place, const Progress& progress) {
  make_folders(place.lock.parent_path());
  fd_ = open_or_fail(place.lock, O_RDWR | O_CREAT);
  try {
    while (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
      if (errno == EINTR) continue;
      if (errno != EWOULDBLOCK) fail("cannot lock the file", place.lock, errno);
      report(progress, "waiting for another pull of " + place.file.filename().string(), 0, 0);
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  } catch (...) {
    ::close(fd_);
    throw;
  }
}

PullLock::~PullLock() { ::close(fd_); }

OutputFile::OutputFile(const std::filesystem::path& path, Mode mode) : path_(path.string()) {
  fd_ = open_or_fail(path, O_WRONLY | O_CREAT | (mode == Mode::kFresh ? O_TRUNC : O_APPEND));
  struct stat status {};
  pieces_ = PieceWriter(fd_, ::fstat(fd_, &status) == 0 ? static_cast<uint64_t>(status.st_size) : 0);
}

OutputFile::~OutputFile() {
  [[maybe_unused]] const bool kept = pieces_.flush();  // of a download that broke off, for the next try
  ::close(fd_);
}

void OutputFile::write(const void* data, size_t bytes) {
  if (!pieces_.write({static_cast<const std::byte*>(data), bytes})) fail("cannot write", path_, errno);
}

void OutputFile::empty() {
  if (::ftruncate(fd_, 0) != 0 || ::lseek(fd_, 0, SEEK_SET) != 0) fail("cannot empty the file", path_, errno);
  pieces_.forget();
}

void OutputFile::flush() {
  if (!pieces_.flush() || ::fsync(fd_) != 0) fail("cannot write", path_, errno);
}

void remove_place(const Place& place) {
  namespace fs = std::filesystem;
  make_folders(place.lock.parent_path());
  const PullLock lock(place, [](std::string_view, uint64_t, uint64_t) -> bool {
    throw Error(ErrorKind::kLimit, "the model is being pulled at this moment");
  });
  std::error_code error;
  fs::remove(place.file, error);
  if (error) fail("cannot remove the file", place.file, error.value());
  for (const fs::path& left : {place.part, place.tag, place.scratch}) remove_quietly(left);
  // owner/repo, as long as nothing else is in it. The lock's file stays: somebody may be waiting at it.
  const fs::path models = models_directory();
  for (fs::path folder = place.file.parent_path(); folder != models; folder = folder.parent_path()) {
    if (!fs::remove(folder, error) || error) break;
  }
}

void make_folders(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) fail("cannot create the folder", folder, error.value());
}

void remove_quietly(const std::filesystem::path& path) {
  std::error_code ignored;
  std::filesystem::remove_all(path, ignored);
}

void require_space(const std::filesystem::path& folder, uint64_t bytes) {
  struct statvfs disk {};
  if (::statvfs(folder.c_str(), &disk) != 0) return;  // the write itself will tell
  const uint64_t free = static_cast<uint64_t>(disk.f_bavail) * disk.f_frsize;
  if (free >= bytes) return;
  throw Error(ErrorKind::kIo,
              fmt::format("the disk is too full: {} MB are needed, {} MB are free", (bytes + 999'999) / 1'000'000,
                          free / 1'000'000),
              folder.string(), kMakeRoom);
}

void publish(const std::filesystem::path& from, const std::filesystem::path& to) {
  make_folders(to.parent_path());
  if (::rename(from.c_str(), to.c_str()) != 0) fail("cannot create the file", to, errno);
  const int folder = open_or_fail(to.parent_path(), O_RDONLY | O_DIRECTORY);
  ::fsync(folder);  // some file systems refuse; the rename stands all the same
  ::close(folder);
}

void check_whole(const std::filesystem::path& path, uint64_t bytes, std::string_view sha256, const Progress& progress) {
  const int fd = open_or_fail(path, O_RDONLY);
  const std::unique_ptr<const int, void (*)(const int*)> closer(&fd, [](const int* open) { ::close(*open); });
  struct stat status {};
  if (::fstat(fd, &status) != 0) fail("cannot read the file", path, errno);
  const auto size = static_cast<uint64_t>(status.st_size);
  if (bytes != 0 && size != bytes) {
    throw Error(ErrorKind::kBadFile, fmt::format("has {} bytes, not {}", size, bytes), path.string(), "pull it again");
  }
  if (sha256.empty()) return;

  Sha256 hash;
  std::vector<std::byte> buffer(1 << 20);
  for (uint64_t done = 0; done < size;) {
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("cannot read the file", path, errno);
    if (got == 0) break;
    hash.update({buffer.data(), static_cast<size_t>(got)});
    done += static_cast<uint64_t>(got);
    report(progress, "checking " + path.stem().string(), done, size);
  }
  const std::string found = hash.hex();
  if (found != sha256) {
    throw Error(ErrorKind::kBadFile, fmt::format("has the SHA-256 {}, not {}", found, sha256), path.string(),
                "pull it again; if it stays so, the file was changed where it comes from");
  }
}

bool is_whole(const std::filesystem::path& path, uint64_t bytes, std::string_view sha256, const Progress& progress) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return false;
  try {
    check_whole(path, bytes, sha256, progress);
    return true;
  } catch (const Error& damaged) {
    if (damaged.kind() == ErrorKind::kBadFile) return false;
    throw;
  }
}

void report(const Progress& progress, std::string_view what, uint64_t done, uint64_t total) {
  if (progress && !progress(what, done, total)) {
    throw Error(ErrorKind::kLimit, "stopped", {}, "the same command goes on where it can");
  }
}

}  // namespace fieldprint
