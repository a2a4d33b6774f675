// What every signed change has in common: three ways to sign, and notes as texts.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace fieldprint::cli {

inline constexpr const char* kThreeWays =
    "--key FILE signs here; --statement-out FILE writes what others sign with `fieldprint memory sign`, and --signed "
    "FILE "
    "submits it";

// --key, --statement-out, --signed
void add_signing(CLI::App& app, std::vector<std::string>& keys, std::string& statement_out, std::string& signed_file);

// A statement or a command of the override, with a signature of each key file. Throws as sign_statement().
std::string sign_with(std::string text, const std::vector<std::string>& keys);

void write_to(const std::string& path, const std::string& text);  // a file, or standard output for "-" and ""

}  // namespace fieldprint::cli
