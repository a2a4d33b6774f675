// A connection to a memory's daemon: found, or started.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/descriptor.h"
#include "mcp/lines.h"
#include "mcp/wire.h"

namespace fieldprint::mcp {

inline constexpr size_t kMaxAnswerBytes = 64 << 20;  // answers may be longer than questions

// After the hello and its answer: what is sent from then on, a daemon has that lived when the connection was made.
struct DaemonLink {
  explicit DaemonLink(Descriptor given) : socket(std::move(given)) {}

  Descriptor socket;
  LineReader reader{socket.get(), -1, kMaxAnswerBytes};
  LineWriter writer{socket.get()};
};

// Null where no daemon runs. Throws Error for what the daemon refuses, and kIo as connect_in() does.
std::unique_ptr<DaemonLink> link_to_daemon(const std::string& directory, const Hello& hello);

// The same; where none runs, `command` (as MemoryBridgeOptions has it) is started, in a session of its own, what it
// says of errors in DIR/daemon.log. Of many that call this at once one starts it. Throws Error kIo too where it does
// not listen within `patience`, with the last line that it wrote.
std::unique_ptr<DaemonLink> find_daemon(const std::string& directory, const Hello& hello,
                                        const std::vector<std::string>& command, std::chrono::milliseconds patience);

}  // namespace fieldprint::mcp
