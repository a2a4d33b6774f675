#include "stream.h"

#include <algorithm>

namespace fieldprint::verify {
namespace {

constexpr size_t kWindow = 1 << 20;

}  // namespace

std::optional<std::string_view> Stream::take(size_t length) {
  if (at_ < begin_ || at_ + length > begin_ + window_.size()) {
    begin_ = at_;
    window_.resize(std::min<uint64_t>(std::max(length, kWindow), left()));
    if (!file_.read(begin_, window_.data(), window_.size())) {
      window_.clear();
      return std::nullopt;
    }
  }
  const std::string_view taken = std::string_view(window_).substr(at_ - begin_, length);
  at_ += length;
  return taken;
}

uint32_t little_endian(std::string_view bytes) {
  uint32_t number = 0;
  for (size_t i = 0; i < 4; ++i) number |= static_cast<uint32_t>(static_cast<uint8_t>(bytes[i])) << (8 * i);
  return number;
}

}  // namespace fieldprint::verify
