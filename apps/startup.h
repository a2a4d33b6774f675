// How long a model takes from the start of the process to its first token.
#pragma once

#include <string>
#include <vector>

namespace fieldprint::cli {

// Starts this program anew for each of `repeats` runs after a first one that fills the page cache: `run` with a prompt
// of one letter and an answer of one token. Seconds from the start to the first byte of the answer, sorted. Throws
// Error.
std::vector<double> measure_startup(const std::string& model, const std::vector<std::string>& flags, int repeats);

}  // namespace fieldprint::cli
