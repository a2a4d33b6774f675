#include "memory/key_file.h"

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "fieldprint/error.h"

namespace fieldprint::memory {

namespace {
constexpr int64_t kKeyBytes = sizeof(PayloadKey);
constexpr int64_t kDrawn = 1024;  // at a time
}  // namespace

KeyFile::KeyFile(std::filesystem::path path) : path_(std::move(path)) {
  fd_ = open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd_ < 0) fail("cannot be opened");
  struct stat info {};
  if (fstat(fd_, &info) != 0) fail("cannot be looked at");
  if ((info.st_mode & 077) != 0) {
    throw Error(ErrorKind::kBadFile, "others may read the keys of payloads", path_.string(),
                "chmod 600 " + path_.string());
  }
  places_ = info.st_size / kKeyBytes;  // a torn end is drawn anew: no record has a key there yet
}

KeyFile::~KeyFile() {
  if (fd_ >= 0) close(fd_);
}

void KeyFile::fail(const char* what) const {
  throw Error(ErrorKind::kIo, std::string("the keys of payloads: ") + what + ": " + std::strerror(errno),
              path_.string());
}

void KeyFile::grow(int64_t places) {
  std::vector<std::byte> drawn(static_cast<size_t>((places - places_) * kKeyBytes));
  randombytes_buf(drawn.data(), drawn.size());
  size_t done = 0;
  while (done < drawn.size()) {
    const ssize_t n = pwrite(fd_, drawn.data() + done, drawn.size() - done,
                             static_cast<off_t>(places_ * kKeyBytes + static_cast<int64_t>(done)));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) fail("cannot be written");
    done += static_cast<size_t>(n);
  }
  sodium_memzero(drawn.data(), drawn.size());
  if (fsync(fd_) != 0) fail("cannot be flushed to disk");
  places_ = places;
}

PayloadKey KeyFile::key(int64_t place) {
  const std::lock_guard lock(mutex_);
  if (place >= places_) grow((place / kDrawn + 1) * kDrawn);
  PayloadKey key;
  if (pread(fd_, key.data(), key.size(), static_cast<off_t>(place * kKeyBytes)) != kKeyBytes) fail("cannot be read");
  if (std::ranges::all_of(key, [](std::byte b) { return b == std::byte{0}; })) {
    throw Error(ErrorKind::kNotFound, "the payload has been erased");
  }
  return key;
}

void KeyFile::shred(int64_t place) {
  const std::lock_guard lock(mutex_);
  if (place >= places_) return;
  const PayloadKey zeros{};
  if (pwrite(fd_, zeros.data(), zeros.size(), static_cast<off_t>(place * kKeyBytes)) != kKeyBytes) {
    fail("cannot be overwritten");
  }
  if (fdatasync(fd_) != 0) fail("cannot be flushed to disk");
}

}  // namespace fieldprint::memory
