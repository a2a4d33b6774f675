// The actions of `fieldprint distil`. To add one: a function in a file of its own, apps/distil_NAME.cpp, and a row in
// the table of distil.cpp.
#pragma once

#include <span>

#include "command.h"

namespace fieldprint::cli {

std::span<const Command> distil_actions();

Action add_distil_plan(CLI::App& app);
Action add_distil_run(CLI::App& app);
Action add_distil_filter(CLI::App& app);
Action add_distil_merge(CLI::App& app);
Action add_distil_card(CLI::App& app);

}  // namespace fieldprint::cli
