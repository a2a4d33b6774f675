#include "svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "output.h"

namespace fieldprint::cli {

static std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '&') out += "&amp;";
    else if (c == '<') out += "&lt;";
    else if (c == '>') out += "&gt;";
    else if (c == '"') out += "&quot;";
    else out += c;
  }
  return out;
}

std::string xml_text(std::string_view text) { return escaped(printable_line(text)); }
std::string xml_block(std::string_view text) { return escaped(printable(text)); }

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

std::string category_colour(size_t index) {  // Tableau 10
  constexpr const char* kColours[] = {"#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#76b7b2",
                                      "#edc948", "#b07aa1", "#ff9da7", "#9c755f", "#bab0ac"};
  return kColours[index % std::size(kColours)];
}

}  // namespace fieldprint::cli
