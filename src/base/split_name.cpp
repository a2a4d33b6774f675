#include "base/split_name.h"

#include <fmt/format.h>

namespace fieldprint {

std::optional<SplitName> parse_split_name(std::string_view path) {
  constexpr std::string_view kShape = "-00000-of-00000.gguf";
  constexpr uint32_t kMost = 65535;  // the keys in the files have 16 bits
  if (path.size() <= kShape.size()) return std::nullopt;
  const std::string_view end = path.substr(path.size() - kShape.size());
  uint32_t numbers[2] = {}, at = 0;
  for (size_t i = 0; i < kShape.size(); ++i) {
    if (kShape[i] != '0') {
      if (end[i] != kShape[i]) return std::nullopt;
      at = i > 1 ? 1 : 0;
    } else {
      if (end[i] < '0' || end[i] > '9') return std::nullopt;
      numbers[at] = numbers[at] * 10 + static_cast<uint32_t>(end[i] - '0');
    }
  }
  if (numbers[0] < 1 || numbers[0] > numbers[1] || numbers[1] > kMost) return std::nullopt;
  return SplitName{std::string(path.substr(0, path.size() - kShape.size())), numbers[0], numbers[1]};
}

std::string split_name(std::string_view stem, uint32_t number, uint32_t count) {
  return fmt::format("{}-{:05}-of-{:05}.gguf", stem, number, count);
}

}  // namespace fieldprint
