#include "base/unix_socket.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "fieldprint/error.h"

namespace fieldprint {
namespace {

[[noreturn]] void io_error(const std::string& where, const std::string& what) {
  throw Error(ErrorKind::kIo, fmt::format("{}: {}", what, std::strerror(errno)), where);
}

std::string path_in(const std::string& directory, const char* name) { return directory + "/" + name; }

// An address of the socket; `keep` has to stay open while it is used.
sockaddr_un address_of(const std::string& directory, const char* name, Descriptor& keep) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::string path = path_in(directory, name);
  if (path.size() >= sizeof address.sun_path) {
    keep.reset(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!keep) io_error(directory, "cannot be opened");
    path = fmt::format("/proc/self/fd/{}/{}", keep.get(), name);
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

}  // namespace

Descriptor listen_in(const std::string& directory, const char* name) {
  const std::string path = path_in(directory, name);
  Descriptor keep, socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) io_error(path, "no socket can be had");
  const sockaddr_un address = address_of(directory, name, keep);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) io_error(path, "cannot be removed");
  // Before it has a name: from its first moment nobody else may open it.
  if (::fchmod(socket.get(), 0600) != 0 ||
      ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(socket.get(), 128) != 0)
    io_error(path, "cannot be listened to");
  return socket;
}

Descriptor connect_in(const std::string& directory, const char* name) {
  const std::string path = path_in(directory, name);
  Descriptor keep, socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) io_error(path, "no socket can be had");
  const sockaddr_un address = address_of(directory, name, keep);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (errno == ENOENT || errno == ECONNREFUSED) return {};
    io_error(path, "cannot be connected to");
  }
  return socket;
}

std::optional<uid_t> peer_user(int socket) {
  ucred peer = {};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return {};
  return peer.uid;
}

bool is_own_user(int socket) { return peer_user(socket) == ::geteuid(); }

Descriptor lock_in(const std::string& directory, const char* name) {
  const std::string path = path_in(directory, name);
  Descriptor lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock) io_error(path, "cannot be opened");
  while (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return {};
    if (errno != EINTR) io_error(path, "cannot be locked");
  }
  return lock;
}

}  // namespace fieldprint
