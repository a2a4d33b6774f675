#include "hub/wheel_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <charconv>

namespace fieldprint {
namespace {

// "{01-22}": the number behind the brace at `at`.
struct Range {
  size_t first = 1, last = 1, width = 1, end = 0;
};

Range range_at(std::string_view text, size_t at) {
  const size_t dash = text.find('-', at), close = text.find('}', at);
  assert(dash < close && close != std::string_view::npos);
  Range range;
  range.width = dash - at - 1;
  range.end = close + 1;
  std::from_chars(text.data() + at + 1, text.data() + dash, range.first);
  std::from_chars(text.data() + dash + 1, text.data() + close, range.last);
  return range;
}

std::string part_of(std::string_view pattern, size_t index) {
  std::string text;
  for (size_t at; (at = pattern.find('{')) != std::string_view::npos;) {
    const Range range = range_at(pattern, at);
    text += fmt::format("{}{:0{}}", pattern.substr(0, at), range.first + index, range.width);
    pattern.remove_prefix(range.end);
  }
  return text.append(pattern);
}

}  // namespace

std::vector<WheelPart> wheel_parts(std::string_view requirement, std::string_view member) {
  const size_t brace = requirement.find('{');
  size_t count = 1;
  if (brace != std::string_view::npos) {
    const Range range = range_at(requirement, brace);
    count = range.last - range.first + 1;
  }
  std::vector<WheelPart> parts;
  for (size_t i = 0; i < count; ++i) parts.push_back({part_of(requirement, i), part_of(member, i)});
  return parts;
}

}  // namespace fieldprint
