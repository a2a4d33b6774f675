// Finds the daemon of a memory, or starts it.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/descriptor.h"

namespace fieldprint::mcp {

// A connection to the daemon of `directory`; where none runs, `command` (as MemoryBridgeOptions has it) is started, in
// a session of its own, what it says of errors in DIR/daemon.log. Of many that call this at once one starts it. Throws
// Error kIo: it did not listen within `patience`, with the last line that it wrote.
Descriptor find_daemon(const std::string& directory, const std::vector<std::string>& command,
                       std::chrono::milliseconds patience);

}  // namespace fieldprint::mcp
