#include "memory/echo.h"

#include <string>

namespace fieldprint::memory {

namespace {

constexpr size_t kStretch = 16;

// Letters, digits and whatever is not ASCII; capitals made small. An escape such as \n or " leaves its letters behind,
// which touches the stretches around it alone.
std::string bare(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x80 || (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z')) {
      out += c;
    } else if (byte >= 'A' && byte <= 'Z') {
      out += static_cast<char>(byte - 'A' + 'a');
    }
  }
  return out;
}

uint64_t hash(std::string_view text) {  // FNV-1a
  uint64_t value = 14695981039346656037u;
  for (const char c : text) value = (value ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return value;
}

template <class Each>
size_t each_stretch(std::string_view text, Each&& each) {
  const std::string words = bare(text);
  if (words.empty()) return 0;
  if (words.size() < kStretch) return each(hash(words)), 1;
  for (size_t i = 0; i + kStretch <= words.size(); ++i) each(hash(std::string_view(words).substr(i, kStretch)));
  return words.size() - kStretch + 1;
}

}  // namespace

void EchoFilter::shown(std::string_view text) {
  each_stretch(text, [&](uint64_t stretch) { stretches_.insert(stretch); });
}

bool EchoFilter::echoes(std::string_view text) const {
  size_t shown = 0;
  const size_t all = each_stretch(text, [&](uint64_t stretch) { shown += stretches_.count(stretch); });
  return all > 0 && 2 * shown >= all;
}

}  // namespace fieldprint::memory
