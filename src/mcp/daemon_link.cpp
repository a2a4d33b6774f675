#include "mcp/daemon_link.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cassert>
#include <cerrno>
#include <csignal>
#include <thread>

#include "fieldprint/error.h"
#include "mcp/unix_socket.h"

namespace fieldprint::mcp {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto kGreeting = 10s;  // for a daemon to answer the hello
constexpr auto kTryAgain = 3s;
constexpr const char* kLogName = "daemon.log";
constexpr size_t kMaxLineBytes = 64 << 10;

std::chrono::milliseconds left_until(Clock::time_point deadline) {
  return std::max(0ms, std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()));
}

// The child's side of the first fork. Between fork and exec only what is safe in a signal handler: other threads may
// have held locks.
[[noreturn]] void become_daemon(char* const* arguments, int output, int log) {
  if (::setsid() < 0 || ::chdir("/") != 0) ::_exit(126);
  const pid_t child = ::fork();  // so that it is nobody's child and never has a terminal
  if (child != 0) ::_exit(child > 0 ? 0 : 126);
  const int nothing = ::open("/dev/null", O_RDONLY);
  if (::dup2(nothing, 0) < 0 || ::dup2(output, 1) < 0 || ::dup2(log, 2) < 0) ::_exit(126);
  ::close_range(3, ~0U, 0);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  ::execv(arguments[0], arguments);
  ::_exit(127);
}

// What was added to the log since it had `begin` bytes: its last line.
std::string last_line(int log, off_t begin) {
  std::string text(16 << 10, '\0');
  struct stat status = {};
  if (::fstat(log, &status) != 0) return {};
  begin = std::max(begin, status.st_size - static_cast<off_t>(text.size()));
  const ssize_t count = ::pread(log, text.data(), text.size(), begin);
  text.resize(count > 0 ? static_cast<size_t>(count) : 0);
  while (text.ends_with('\n')) text.pop_back();
  const size_t line = text.rfind('\n');
  return line == text.npos ? text : text.substr(line + 1);
}

// Returns when it has written its line, or throws.
void start(const std::string& directory, const std::vector<std::string>& command, Clock::time_point deadline) {
  assert(!command.empty());
  const std::string log_path = directory + "/" + kLogName;
  const Descriptor log(::open(log_path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!log) throw Error(ErrorKind::kIo, "cannot be written to", log_path);
  struct stat before = {};
  ::fstat(log.get(), &before);
  int pipe[2];
  if (::pipe2(pipe, O_CLOEXEC) != 0) throw Error(ErrorKind::kIo, "no pipe can be had", directory);
  Descriptor said(pipe[0]), says(pipe[1]);
  std::vector<char*> arguments;
  for (const std::string& each : command) arguments.push_back(const_cast<char*>(each.c_str()));
  arguments.push_back(nullptr);
  const pid_t child = ::fork();
  if (child < 0) throw Error(ErrorKind::kIo, "no process can be had for the memory's daemon", directory);
  if (child == 0) become_daemon(arguments.data(), says.get(), log.get());
  says.reset();
  while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  LineReader reader(said.get(), -1, kMaxLineBytes);
  const Line line = reader.next(left_until(deadline));
  if (line.kind == Line::Kind::kLine) return;
  const std::string reason = last_line(log.get(), before.st_size);
  throw Error(ErrorKind::kIo,
              fmt::format("the memory's daemon {}{}{}",
                          line.kind == Line::Kind::kLate ? "does not listen in time" : "ended before it listened",
                          reason.empty() ? "" : ": ", reason),
              directory, "see " + log_path);
}

}  // namespace

std::unique_ptr<DaemonLink> link_to_daemon(const std::string& directory, const Hello& hello) {
  Descriptor socket = connect_in(directory);
  if (!socket) return nullptr;
  auto link = std::make_unique<DaemonLink>(std::move(socket));
  if (!link->writer.write(hello_text(hello))) return nullptr;
  const Line line = link->reader.next(kGreeting);
  if (line.kind == Line::Kind::kLate) throw Error(ErrorKind::kIo, "the memory's daemon does not answer", directory);
  if (line.kind != Line::Kind::kLine) return nullptr;  // it was about to end
  const Json greeting = json_from(line.text);
  if (const auto error = greeting.find("error"); error != greeting.end()) throw error_from(*error);
  return link;
}

std::unique_ptr<DaemonLink> find_daemon(const std::string& directory, const Hello& hello,
                                        const std::vector<std::string>& command, std::chrono::milliseconds patience) {
  if (auto link = link_to_daemon(directory, hello)) return link;
  if (command.empty()) throw Error(ErrorKind::kIo, "no daemon serves this memory", directory);
  const Clock::time_point begin = Clock::now(), deadline = begin + patience;
  for (;;) {  // whoever has the lock starts it; the others find it afterwards
    const Descriptor lock = lock_in(directory, "daemon.start");
    if (auto link = link_to_daemon(directory, hello)) return link;
    if (lock) {
      // A process that has just ended may still hold the memory: what fails is tried again for a while.
      try {
        start(directory, command, deadline);
        if (auto link = link_to_daemon(directory, hello)) return link;
      } catch (const Error&) {
        if (Clock::now() - begin > kTryAgain || left_until(deadline) < 500ms) throw;
        std::this_thread::sleep_for(200ms);
      }
    } else {
      std::this_thread::sleep_for(20ms);
    }
    if (left_until(deadline) == 0ms)
      throw Error(ErrorKind::kIo, "no daemon came to serve this memory in time", directory);
  }
}

}  // namespace fieldprint::mcp
