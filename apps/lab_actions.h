// The actions of `fieldprint lab`.
#pragma once

#include <span>

#include "command.h"

namespace fieldprint::cli {

std::span<const Command> lab_actions();

}  // namespace fieldprint::cli
