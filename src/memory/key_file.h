// Keys of payloads, one a record, in a file of their own: erasing a record is overwriting its key. Keys are drawn and
// flushed to disk many at a time, so that a new record costs no flush here.
//
// Any thread.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <mutex>

namespace fieldprint::memory {

using PayloadKey = std::array<std::byte, 32>;

class KeyFile {
 public:
  // Opens or makes the file (0600). Error kIo, kBadFile where its size is not whole keys or others may read it.
  explicit KeyFile(std::filesystem::path path);
  ~KeyFile();
  KeyFile(const KeyFile&) = delete;
  KeyFile& operator=(const KeyFile&) = delete;

  // The key at `place`; places beyond the end are drawn and flushed first. Never a key that is overwritten: Error
  // kNotFound.
  PayloadKey key(int64_t place);
  // Overwrites it with zeros, flushed; again does nothing.
  void shred(int64_t place);

 private:
  void grow(int64_t places);
  [[noreturn]] void fail(const char* what) const;

  const std::filesystem::path path_;
  std::mutex mutex_;
  int fd_ = -1;
  int64_t places_ = 0;
};

}  // namespace fieldprint::memory
