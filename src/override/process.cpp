// The override's process: its socket, and who may use it. A request is what a peer sends until it shuts its side down:
//
//   a signed command                      -> accept it
//   "logged COUNTER\n"                    the ledger has the command with this counter
//
// and the answer a line: "ok SENTENCE\n" or "no SENTENCE\n".
#include <fmt/format.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <list>

#include "base/descriptor.h"
#include "base/random_id.h"
#include "base/unix_socket.h"
#include "fieldprint/error.h"
#include "override/accept.h"

namespace fieldprint {
namespace {

using overrides::kNoteBytesMax;
using Clock = std::chrono::steady_clock;

constexpr size_t kPeersMax = 256;  // at once; with one more the oldest has to go
constexpr int kWelcomed = 4;       // before those that are there are listened to again
constexpr auto kPatience = std::chrono::seconds(2);
constexpr std::string_view kLogged = "logged ";

int64_t seconds_now() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

struct Peer {
  Descriptor socket;
  Clock::time_point deadline;
  std::string request;
};

}  // namespace

struct OverrideProcess::State {
  explicit State(OverrideOptions given)
      : options(std::move(given)), acceptor(overrides::Files(options.directory), random_id(), now()) {
    listener = listen_in(options.directory, overrides::kSocketName);
    const std::string path = options.directory + "/" + overrides::kSocketName;
    if (!options.users.empty() && ::chmod(path.c_str(), 0666) != 0)
      throw Error(ErrorKind::kIo, "the socket cannot be opened to other users", path);
  }

  int64_t now() const { return options.clock ? options.clock() : seconds_now(); }
  void log(const std::string& line) const {
    if (options.log) options.log(line);
  }

  bool may_connect(int socket) const {
    const std::optional<uid_t> user = peer_user(socket);
    return user &&
           (*user == ::geteuid() || *user == 0 || std::ranges::find(options.users, *user) != options.users.end());
  }

  void welcome() {
    for (int i = 0; i < kWelcomed; ++i) {
      Descriptor socket(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (!socket) return;
      if (!may_connect(socket.get())) continue;
      if (peers.size() == kPeersMax) peers.pop_front();
      peers.push_back({std::move(socket), Clock::now() + kPatience, {}});
    }
  }

  // False: the peer is done with.
  bool listen_to(Peer& peer) {
    char buffer[4096];
    for (;;) {
      const ssize_t read = ::recv(peer.socket.get(), buffer, sizeof buffer, 0);
      if (read < 0 && errno == EINTR) continue;
      if (read < 0) return errno == EAGAIN;
      if (read == 0) break;
      peer.request.append(buffer, static_cast<size_t>(read));
      if (peer.request.size() > kNoteBytesMax) break;
    }
    const std::string reply = answer(peer.request);
    [[maybe_unused]] const ssize_t sent = ::send(peer.socket.get(), reply.data(), reply.size(), MSG_NOSIGNAL);
    return false;
  }

  std::string answer(std::string_view request) {
    try {
      const std::string done = request.starts_with(kLogged) ? confirm(request.substr(kLogged.size())) : accept(request);
      log(done);
      return fmt::format("ok {}\n", done);
    } catch (const Error& error) {
      log(fmt::format("refused: {}", error.what()));
      return fmt::format("no {}\n", error.what());
    }
  }

  std::string accept(std::string_view note) {
    const OverrideEntry entry = acceptor.accept(note, now());
    if (options.accepted) options.accepted(entry);
    return fmt::format("{} with the counter {} {}", entry.command, entry.counter,
                       entry.in_force ? "is in force" : "waits for the ledger");
  }

  std::string confirm(std::string_view text) {
    uint64_t counter = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), counter);
    if (error != std::errc() || std::string_view(end, text.data() + text.size()) != "\n")
      throw Error(ErrorKind::kBadInput, "no such request");
    acceptor.logged(counter, now());
    return fmt::format("the command with the counter {} is in force", counter);
  }

  void run() {
    ::setpriority(PRIO_PROCESS, 0, -20);  // this thread's, where it may: others must not keep it waiting
    while (true) {
      std::vector<pollfd> polled{{stop.fd(), POLLIN, 0}, {listener.get(), POLLIN, 0}};
      auto first = Clock::time_point::max();
      for (const Peer& peer : peers) {
        polled.push_back({peer.socket.get(), POLLIN, 0});
        first = std::min(first, peer.deadline);
      }
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(first - Clock::now()).count();
      const int wait = peers.empty() ? -1 : static_cast<int>(std::max<int64_t>(left, 0));
      if (::poll(polled.data(), polled.size(), wait) < 0 && errno != EINTR)
        throw Error(ErrorKind::kIo, "the override's socket cannot be waited for");
      if (polled[0].revents != 0) return;
      size_t at = 2;
      for (auto peer = peers.begin(); peer != peers.end(); ++at) {
        const bool stays = polled[at].revents == 0 ? Clock::now() < peer->deadline : listen_to(*peer);
        peer = stays ? std::next(peer) : peers.erase(peer);
      }
      if (polled[1].revents != 0) welcome();
    }
  }

  const OverrideOptions options;
  StopSignal stop;
  overrides::Acceptor acceptor;
  Descriptor listener;
  std::list<Peer> peers;
};

OverrideProcess::OverrideProcess(OverrideOptions options) : state_(std::make_unique<State>(std::move(options))) {}
OverrideProcess::~OverrideProcess() = default;
void OverrideProcess::run() { state_->run(); }
void OverrideProcess::stop() { state_->stop.set(); }

}  // namespace fieldprint
