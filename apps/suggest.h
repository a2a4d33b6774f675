// What to write in place of what was typed: the known name nearest to it, or our name for what other programs of this
// kind call otherwise.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fieldprint::cli {

// The nearest of `known` by edit distance (a swap of neighbours counts once), or "" where none is near.
std::string nearest(std::string_view typed, const std::vector<std::string>& known);

// "did you mean NAME?" or, where nothing is near, `otherwise`.
std::string did_you_mean(std::string_view typed, const std::vector<std::string>& known, std::string otherwise);

// A hint for a flag ("--ctx-size") or command ("list") that llama.cpp, ollama and others have; "" for any other word.
std::string flag_habit(std::string_view typed);
std::string command_habit(std::string_view typed);

}  // namespace fieldprint::cli
