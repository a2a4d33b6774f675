// A file that appears whole or not at all: written under a temporary name beside its own, flushed, renamed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/piece_writer.h"

namespace fieldprint {

class AtomicFile {
 public:
  // Throws Error kIo, naming `path`, where it cannot be created or is there and no regular file (a folder, a device).
  // Where it is a symbolic link, the file that it points to is the one replaced.
  explicit AtomicFile(const std::string& path);
  ~AtomicFile();  // without commit(): nothing is left, and the old file stays
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::span<const std::byte> bytes);  // Error kIo: disk full ...
  void commit();                                 // Error kIo

 private:
  [[noreturn]] void fail(const char* what) const;

  std::string path_, temporary_;
  int fd_ = -1;
  PieceWriter pieces_;
};

// Throws Error kIo where the disk that `path` lies on is known to have no room for `bytes`: before work that would end
// so.
void require_room(const std::string& path, uint64_t bytes);

}  // namespace fieldprint
