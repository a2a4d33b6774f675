// Gathers data that is written to a file from one end to the other into whole, aligned pieces of the size of a huge
// page: a file system with large folios (ext4 since Linux 6.16, XFS) keeps each in one huge page, and whoever maps the
// file streams through it without missing the TLB.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace fieldprint {

class PieceWriter {
 public:
  // `fd` stands at `offset`, and stays the caller's.
  explicit PieceWriter(int fd = -1, uint64_t offset = 0) : fd_(fd), size_(offset) {}

  // False: the disk did not take it, errno says why.
  [[nodiscard]] bool write(std::span<const std::byte> bytes);
  [[nodiscard]] bool flush();  // all of it is the kernel's when it returns

  void forget() { piece_.clear(), size_ = 0; }  // the file was emptied
  uint64_t size() const { return size_; }       // of the file, once it is flushed

 private:
  int fd_;
  uint64_t size_;
  std::vector<std::byte> piece_;
};

}  // namespace fieldprint
