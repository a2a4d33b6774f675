#include "svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "fieldprint/chart.h"
#include "output.h"

namespace fieldprint::cli {

std::string xml_text(std::string_view text) { return xml_escaped(printable_line(text)); }
std::string xml_block(std::string_view text) { return xml_escaped(printable(text)); }

std::string token_label(std::string_view text, size_t most) {
  std::string shown = printable_line(text);
  size_t end = 0;
  for (size_t count = 0; end < shown.size() && count < most; ++count) {
    ++end;
    while (end < shown.size() && (static_cast<unsigned char>(shown[end]) & 0xc0) == 0x80) ++end;
  }
  if (end < shown.size()) shown.replace(end, std::string::npos, "\u2026");
  std::string out;
  for (const char c : shown) {
    if (c == ' ') out += "\u00b7";
    else out += c;
  }
  return out;
}

std::string heat_colour(float value) {
  // Small shares are the rule and should still be seen: the square root opens them up.
  const float x = std::sqrt(std::clamp(value, 0.0f, 1.0f));
  const auto mix = [x](float from, float to) { return static_cast<int>(std::lround(from + (to - from) * x)); };
  return fmt::format("#{:02x}{:02x}{:02x}", mix(255, 8), mix(255, 48), mix(255, 107));
}

}  // namespace fieldprint::cli
