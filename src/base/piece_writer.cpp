#include "base/piece_writer.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/huge_memory.h"

namespace fieldprint {

bool PieceWriter::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const auto taken = static_cast<std::ptrdiff_t>(std::min(bytes.size(), kHugePage - size_ % kHugePage));
    piece_.insert(piece_.end(), bytes.begin(), bytes.begin() + taken);
    bytes = bytes.subspan(static_cast<size_t>(taken));
    size_ += static_cast<uint64_t>(taken);
    if (size_ % kHugePage == 0 && !flush()) return false;
  }
  return true;
}

bool PieceWriter::flush() {
  while (!piece_.empty()) {
    const ssize_t written = ::write(fd_, piece_.data(), piece_.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    piece_.erase(piece_.begin(), piece_.begin() + written);  // so that a later try goes on behind it
  }
  return true;
}

}  // namespace fieldprint
