// Help text, 80 columns wide: commands and flags by groups, each flag with its default.
#pragma once

#include <CLI/CLI.hpp>

namespace fieldprint::cli {

// On standard output.
void print_short_help(const CLI::App& root);  // for `fieldprint` alone
void print_full_help(const CLI::App& root);
void print_command_help(const CLI::App& command);  // its actions, where it has some

}  // namespace fieldprint::cli
