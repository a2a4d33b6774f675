// A file that appears whole or not at all: written under a temporary name beside its own, flushed, renamed. One thread
// at a time; any number of processes may write the same file, and the last to commit wins.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace fieldprint {

class PieceWriter;

class AtomicFile {
 public:
  // The temporary file is OUT.part-PID-N; what dead writers of the same OUT left so is removed. Where `path` is a
  // symbolic link, the file that it points to is the one replaced; the temporary's own name is never followed. A device
  // such as /dev/stdout, a pipe or a socket is written to directly.
  // Throws Error kIo, naming `path`, where it cannot be created or is there as a folder or a disk.
  explicit AtomicFile(const std::string& path);
  ~AtomicFile();  // without commit(): nothing is left, and the old file stays
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::span<const std::byte> bytes);  // Error kIo: disk full ...
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
  void commit();  // Error kIo

 private:
  [[noreturn]] void fail(const char* what) const;
  void create_temporary();

  std::string path_, temporary_;  // "" = written to directly
  int fd_ = -1;
  std::unique_ptr<PieceWriter> pieces_;
};

// Removes the temporary files of `path` whose writers are dead, as the next writer of it would.
void remove_dead_temporaries(const std::string& path);

// Throws Error kIo where the disk that `path` lies on is known to have no room for `bytes`: before work that would end
// so.
void require_room(const std::string& path, uint64_t bytes);

// Throws Error kIo where a file could not be written at `path`: before work whose result would be lost.
void require_writable(const std::string& path);

}  // namespace fieldprint
