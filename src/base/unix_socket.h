// A socket by name in a directory, for processes of one machine: who may listen, who may connect. The directory may be
// of any length: beyond what fits into a socket's address it is reached through /proc/self/fd.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "base/descriptor.h"

namespace fieldprint {

// For this user alone (0600). Removes a socket that is there: who calls it holds a lock on the directory. Throws Error
// kIo.
Descriptor listen_in(const std::string& directory, const char* name);

// None where nobody listens. Throws Error kIo for other reasons, such as a directory that may not be entered.
Descriptor connect_in(const std::string& directory, const char* name);

// Whom the process at the other end runs as; nobody where the kernel does not say.
std::optional<uid_t> peer_user(int socket);
bool is_own_user(int socket);  // as this process

// A lock on DIR/NAME, which is made where it is not there; held while the descriptor is open. None where another
// process has it. Throws Error kIo.
Descriptor lock_in(const std::string& directory, const char* name);

}  // namespace fieldprint
