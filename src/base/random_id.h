// Names that nobody can guess.
#pragma once

#include <string>

namespace fieldprint {

std::string random_id();  // 32 hex digits of the system's randomness; throws Error kIo where it has none

}  // namespace fieldprint
