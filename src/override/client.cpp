// What people and the memory say to the override's process.
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "base/unix_socket.h"
#include "fieldprint/error.h"
#include "fieldprint/override.h"
#include "override/files.h"

namespace fieldprint {
namespace {

using Clock = std::chrono::steady_clock;
constexpr size_t kAnswerMax = 4096;

// Waits until `socket` is ready for `events`.
void wait(int socket, short events, Clock::time_point deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd polled{socket, events, 0};
    const int ready = ::poll(&polled, 1, static_cast<int>(std::max<int64_t>(left, 0)));
    if (ready > 0) return;
    if (ready == 0) throw Error(ErrorKind::kLimit, "the override's process does not answer");
    if (errno != EINTR) throw Error(ErrorKind::kIo, std::strerror(errno));
  }
}

std::string ask(const std::string& directory, std::string_view request, int timeout_ms) {
  const Clock::time_point deadline = Clock::now() + std::chrono::milliseconds(timeout_ms);
  const Descriptor socket = connect_in(directory, overrides::kSocketName);
  if (!socket) {
    throw Error(ErrorKind::kNotFound, "no override listens there", directory,
                "fieldprint memory override serve starts its process");
  }
  while (!request.empty()) {
    wait(socket.get(), POLLOUT, deadline);
    const ssize_t sent = ::send(socket.get(), request.data(), request.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (sent < 0) break;  // it has heard enough: its answer says why
    request.remove_prefix(static_cast<size_t>(sent));
  }
  ::shutdown(socket.get(), SHUT_WR);
  std::string answer;
  while (answer.size() < kAnswerMax && !answer.ends_with('\n')) {
    wait(socket.get(), POLLIN, deadline);
    char buffer[1024];
    const ssize_t read = ::recv(socket.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (read < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (read <= 0) break;
    answer.append(buffer, static_cast<size_t>(read));
  }
  if (answer.size() < 4 || answer.back() != '\n')
    throw Error(ErrorKind::kIo, "the override's process has hung up", directory);
  const std::string sentence = answer.substr(3, answer.size() - 4);
  if (answer.starts_with("no ")) throw Error(ErrorKind::kBadInput, sentence);
  return sentence;
}

}  // namespace

std::string send_override(const std::string& directory, std::string_view note, int timeout_ms) {
  return ask(directory, note, timeout_ms);
}

std::string confirm_override(const std::string& directory, uint64_t counter, int timeout_ms) {
  return ask(directory, fmt::format("logged {}\n", counter), timeout_ms);
}

}  // namespace fieldprint
