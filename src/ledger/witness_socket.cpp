// A witness behind a Unix socket: requests and answers as frames, a status (0 in a request) and a length, 32 bits each,
// big endian, then the text.
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/unix_socket.h"
#include "fieldprint/error.h"
#include "ledger/witness.h"

namespace fieldprint::ledger {
namespace {

constexpr uint32_t kFrameMax = kNoteBytesMax + 8192;
constexpr int kPollMs = 250;
constexpr timeval kAnswerTime{2, 0};

std::string folder_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path().string() : ".";
}

void limit_time(int socket) {
  ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &kAnswerTime, sizeof kAnswerTime);
  ::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &kAnswerTime, sizeof kAnswerTime);
}

bool send_frame(int socket, uint32_t status, std::string_view text) {
  std::string frame;
  for (const uint32_t number : {status, static_cast<uint32_t>(text.size())}) {
    for (int shift = 24; shift >= 0; shift -= 8) frame.push_back(static_cast<char>(number >> shift));
  }
  frame += text;
  for (size_t at = 0; at < frame.size();) {
    const ssize_t sent = ::send(socket, frame.data() + at, frame.size() - at, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    at += static_cast<size_t>(sent);
  }
  return true;
}

bool receive(int socket, void* to, size_t size) {
  auto* bytes = static_cast<char*>(to);
  while (size > 0) {
    const ssize_t got = ::recv(socket, bytes, size, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    bytes += got;
    size -= static_cast<size_t>(got);
  }
  return true;
}

bool receive_frame(int socket, uint32_t& status, std::string& text) {
  std::array<unsigned char, 8> head;
  if (!receive(socket, head.data(), head.size())) return false;
  const auto number = [&](size_t at) {
    return uint32_t{head[at]} << 24 | uint32_t{head[at + 1]} << 16 | uint32_t{head[at + 2]} << 8 | head[at + 3];
  };
  status = number(0);
  if (number(4) > kFrameMax) return false;
  text.resize(number(4));
  return receive(socket, text.data(), text.size());
}

}  // namespace

// The lock on the witness's state says that no other listens here; a socket that is there is a dead one's.
void serve_witness(Witness& witness, const std::filesystem::path& path, const std::function<bool()>& stop) {
  const Descriptor server = listen_in(folder_of(path), path.filename().c_str());
  while (!stop()) {
    pollfd ready{server.get(), POLLIN, 0};
    if (::poll(&ready, 1, kPollMs) <= 0) continue;
    const Descriptor client(::accept4(server.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!client || !is_own_user(client.get())) continue;
    limit_time(client.get());
    uint32_t status = 0;
    std::string request;
    if (!receive_frame(client.get(), status, request)) continue;
    const WitnessAnswer answer = witness.add_checkpoint(request);
    send_frame(client.get(), static_cast<uint32_t>(answer.status), answer.body);
  }
  ::unlink(path.c_str());
}

WitnessLink witness_at(const std::filesystem::path& path, const VerifierKey& key) {
  return {key, [path](std::string_view request) {
            const Descriptor socket = connect_in(folder_of(path), path.filename().c_str());
            if (!socket) throw Error(ErrorKind::kIo, "no witness listens there", path.string());
            limit_time(socket.get());
            uint32_t status = 0;
            std::string body;
            if (!send_frame(socket.get(), 0, request) || !receive_frame(socket.get(), status, body)) {
              throw Error(ErrorKind::kIo, "the witness does not answer", path.string());
            }
            return WitnessAnswer{static_cast<int>(status), body};
          }};
}

}  // namespace fieldprint::ledger
