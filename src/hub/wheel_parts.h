// Models that are too large for one package of an index, and so lie in several: one row of the catalogue names them
// all.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fieldprint {

struct WheelPart {
  std::string requirement;  // "name-part2==1.0"
  std::string member;       // "name_part2/data/part02.bin"
};

// "name-part{1-22}==1.0" and "name_part{1-22}/data/part{01-22}.bin" are 22 parts; without braces it is one. All braces
// count to the same number of parts, each from its own first number, as wide as that is written.
std::vector<WheelPart> wheel_parts(std::string_view requirement, std::string_view member);

}  // namespace fieldprint
