// The socket of a memory's daemon, DIR/daemon.sock.
#pragma once

#include <string>

#include "base/unix_socket.h"
#include "fieldprint/error.h"

namespace fieldprint::mcp {

inline constexpr const char* kSocketName = "daemon.sock";

inline Descriptor listen_in(const std::string& directory) { return fieldprint::listen_in(directory, kSocketName); }

// As connect_in() of base/; kUnsupported where the other side runs as another user.
inline Descriptor connect_in(const std::string& directory) {
  Descriptor socket = fieldprint::connect_in(directory, kSocketName);
  if (socket && !is_own_user(socket.get()))
    throw Error(ErrorKind::kUnsupported, "the daemon there runs as another user", directory);
  return socket;
}

}  // namespace fieldprint::mcp
