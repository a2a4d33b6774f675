// The flags of docs/sampling.md, for run and chat.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <utility>
#include <vector>

#include "fieldprint/sampling.h"

namespace fieldprint::cli {

void add_sampling(CLI::App& app, SamplingOptions& options);

// Throws Error where a logit bias names a token that the model does not have.
void check_sampling(const SamplingOptions& options, const Tokenizer& tokenizer);

// What the flags are set to, by their names: for /set.
std::vector<std::pair<std::string, std::string>> sampling_values(const SamplingOptions& options);

}  // namespace fieldprint::cli
