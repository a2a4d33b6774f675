// "Did you mean": the known name nearest to what was typed.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fieldprint::cli {

// The nearest of `known` by edit distance (a swap of neighbours counts once), or "" where none is near.
std::string nearest(std::string_view typed, const std::vector<std::string>& known);

// "did you mean NAME?" or, where nothing is near, `otherwise`.
std::string did_you_mean(std::string_view typed, const std::vector<std::string>& known, std::string otherwise);

}  // namespace fieldprint::cli
