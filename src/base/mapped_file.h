// A file, read-only in memory.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace fieldprint {

class MappedFile {
 public:
  // Throws Error kNotFound or kIo, naming `path`; never waits, not for a FIFO either.
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return {data_, size_}; }

 private:
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace fieldprint
