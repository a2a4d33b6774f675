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
  for (size_t done = 0; done < piece_.size();) {
    const ssize_t written = ::write(fd_, piece_.data() + done, piece_.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    done += static_cast<size_t>(written);
  }
  piece_.clear();
  return true;
}

}  // namespace fieldprint
