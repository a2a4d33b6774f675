// Detectors look at a text before it is admitted. They may only lower trust: what one of them takes for hostile begins
// SUSPENDED and HOSTILE, and a detector that fails counts as one that does. Nothing is promoted because they are
// silent. Pure functions, for any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace fieldprint::memory {

// The rule that the text broke, as the ledger has it: "detector:hidden-text"; none where all are silent.
std::optional<std::string> detect(std::string_view text);

}  // namespace fieldprint::memory
