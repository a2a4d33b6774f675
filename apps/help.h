// Help text, 80 columns wide, flags by groups, each with its default and its environment variable.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace fieldprint::cli {

std::string short_help(const CLI::App& root);  // for `fieldprint` alone
std::string full_help(const CLI::App& root);
std::string command_help(const CLI::App& command);

}  // namespace fieldprint::cli
