// Flags from elsewhere: every flag --max-tokens is also $FIELDPRINT_MAX_TOKENS and `max-tokens` in config.toml, there
// at the top for all subcommands or in a table [run], or [memory.add], for one. What the command line says wins, then
// the environment.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace fieldprint::cli {

std::string environment_name(
    const CLI::Option& option);  // "FIELDPRINT_MAX_TOKENS"; "" for positionals, --help, --version
std::vector<std::string> flag_names(const CLI::App& app);  // "--max-tokens" ...

// $VARIABLE/fieldprint, or ~/FALLBACK/fieldprint; "" where there is no home. For the XDG folders.
std::string user_folder(const char* variable, const char* fallback);

// Fills in the flags of `command` that the command line left open. `config`: the file named by --config, or "" for
// $FIELDPRINT_CONFIG, then config.toml in the user's folder. Throws Error kUsage that says where a wrong value came
// from.
void apply_settings(const CLI::App& root, CLI::App& command, const std::string& config);

// Gives `option` these values; a refusal says `where` they came from. A flag takes true or false.
void set_option(CLI::Option& option, const std::vector<std::string>& values, const std::string& where);

}  // namespace fieldprint::cli
