// The flags of docs/sampling.md, for run and chat.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fieldprint/model.h"
#include "fieldprint/sampling.h"

namespace fieldprint::cli {

// Gives `options` the model's own values (default_sampling) and this limit, then again what flags, environment and
// config said. At temperature 0 the likeliest token is wanted: the model's own repetition penalty is left out.
using SamplingDefaults = std::function<void(const Model&, int max_tokens)>;
SamplingDefaults add_sampling(CLI::App& app, SamplingOptions& options);

std::string unescaped(std::string_view text);  // "\n" for \n, and so on: typed more easily than a line's end in quotes

// Throws Error where a logit bias names a token that the model does not have.
void check_sampling(const SamplingOptions& options, const Tokenizer& tokenizer);

// What the flags are set to, by their names: for /set.
std::vector<std::pair<std::string, std::string>> sampling_values(const SamplingOptions& options);

}  // namespace fieldprint::cli
