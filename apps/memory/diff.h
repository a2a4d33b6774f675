// What a change of a text file would do, line by line, as `diff -u` shows it.
#pragma once

#include <string>

namespace fieldprint::cli {

// "" where nothing changes.
std::string unified_diff(const std::string& path, const std::string& before, const std::string& after);

}  // namespace fieldprint::cli
