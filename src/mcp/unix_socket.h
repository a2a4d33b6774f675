// The socket of a memory's daemon, DIR/daemon.sock: who may listen, who may connect. DIR may be of any length: beyond
// what fits into a socket's address it is reached through /proc/self/fd.
#pragma once

#include <string>

#include "mcp/descriptor.h"

namespace fieldprint::mcp {

inline constexpr const char* kSocketName = "daemon.sock";

// For this user alone (0600). Removes a socket that is there: who calls it holds the daemon's lock. Throws Error kIo.
Descriptor listen_in(const std::string& directory);

// None where nobody listens. Throws Error kIo for other reasons, such as a directory that may not be entered;
// kUnsupported where the other side runs as another user.
Descriptor connect_in(const std::string& directory);

// Whether the process at the other end runs as this one's user.
bool is_own_user(int socket);

// A lock on DIR/NAME, which is made where it is not there; held while the descriptor is open. None where another
// process has it. Throws Error kIo.
Descriptor lock_in(const std::string& directory, const char* name);

}  // namespace fieldprint::mcp
