// Pictures: SVG as text, with what every picture needs.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fieldprint::cli {

std::string xml_text(std::string_view text);                  // printable_line(), escaped
std::string xml_block(std::string_view text);                 // printable(), escaped: newlines stay
std::string token_label(std::string_view text, size_t most);  // a line of at most `most` characters, spaces visible

// 0 .. 1 as a colour from white to dark blue, even in lightness, so that half looks half.
std::string heat_colour(float value);

}  // namespace fieldprint::cli
