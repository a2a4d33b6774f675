// A command of the user's that looks at each row: the line on its standard input, the verdict its exit code.
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>

#include "base/descriptor.h"
#include "distil/filter.h"
#include "fieldprint/error.h"

extern char** environ;

namespace fieldprint::distil {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kOutputBytes = 4096;  // that are kept of what a command says

// As a shell cuts words, without anything that a shell would replace.
std::vector<std::string> words_of(const std::string& command) {
  std::vector<std::string> words;
  bool open = false;
  char quote = 0;
  for (size_t i = 0; i < command.size(); ++i) {
    const char c = command[i];
    if (quote == 0 && (c == ' ' || c == '\t' || c == '\n')) {
      open = false;
      continue;
    }
    if (!open) words.emplace_back(), open = true;
    if (quote != 0 && c == quote) quote = 0;
    else if (quote == 0 && (c == '\'' || c == '"')) quote = c;
    else if (c == '\\' && quote != '\'' && i + 1 < command.size()) words.back() += command[++i];
    else words.back() += c;
  }
  if (quote != 0) throw Error(ErrorKind::kUsage, fmt::format("a {} is not closed", quote), "--command");
  if (words.empty() || words[0].empty()) throw Error(ErrorKind::kUsage, "there is no command in it", "--command");
  return words;
}

[[noreturn]] void fail(const char* what) {
  throw Error(ErrorKind::kIo, fmt::format("{}: {}", what, std::strerror(errno)), "--command");
}

struct Ended {
  int code = 0;  // 128 + the signal where one ended it
  bool timeout = false;
  std::string output;  // its beginning, both streams
};

class Child {
 public:
  Child(const std::vector<std::string>& words, std::string_view input) {
    // A file in memory and no pipe: a command that reads nothing would block us, or end us by SIGPIPE.
    const Descriptor in(::memfd_create("row", MFD_CLOEXEC));
    if (!in) fail("no room for a row");
    for (size_t done = 0; done < input.size();) {
      const ssize_t n = ::write(in.get(), input.data() + done, input.size() - done);
      if (n < 0 && errno != EINTR) fail("no room for a row");
      done += n > 0 ? static_cast<size_t>(n) : 0;
    }
    ::lseek(in.get(), 0, SEEK_SET);
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) fail("no pipe");
    out_ = Descriptor(ends[0]);
    const Descriptor writes(ends[1]);
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_adddup2(&files, in.get(), 0);
    posix_spawn_file_actions_adddup2(&files, writes.get(), 1);
    posix_spawn_file_actions_adddup2(&files, writes.get(), 2);
    // A group of its own, so that what it starts ends with it; and signals as a program expects them.
    sigset_t none, all;
    ::sigemptyset(&none);
    ::sigemptyset(&all);
    for (const int signal : {SIGINT, SIGTERM, SIGPIPE, SIGHUP}) ::sigaddset(&all, signal);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    std::vector<char*> arguments;
    for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    const int error = ::posix_spawnp(&pid_, arguments[0], &files, &attributes, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    if (error != 0) {
      pid_ = -1;
      throw Error(error == ENOENT ? ErrorKind::kNotFound : ErrorKind::kIo,
                  fmt::format("the command does not start: {}", std::strerror(error)), words[0]);
    }
    ended_ = Descriptor(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
  }
  ~Child() {
    if (pid_ > 0) kill(), reap();
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  Ended wait(double seconds) {
    if (!ended_) fail("the system has no pidfd_open");
    const auto end = Clock::now() + std::chrono::duration<double>(seconds);
    Ended result;
    bool open = true;  // its output may still come from what it started; we wait for itself alone
    for (bool running = true; running;) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
      if (left <= 0) {
        result.timeout = true;
        kill();
        break;
      }
      std::array<pollfd, 2> ready{pollfd{ended_.get(), POLLIN, 0}, pollfd{open ? out_.get() : -1, POLLIN, 0}};
      if (::poll(ready.data(), 2, static_cast<int>(std::min<int64_t>(left, 1000))) < 0 && errno != EINTR) fail("poll");
      if (ready[1].revents != 0) open = read_some(result.output);
      running = ready[0].revents == 0;
    }
    // What it said before it ended is in the pipe already.
    pollfd more{out_.get(), POLLIN, 0};
    while (open && ::poll(&more, 1, 0) > 0 && result.output.size() < kOutputBytes) open = read_some(result.output);
    kill();  // what it left running; until it is reaped its number is that of its group alone
    const int status = reap();
    result.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return result;
  }

 private:
  bool read_some(std::string& output) {
    std::array<char, 4096> bytes{};
    const ssize_t n = ::read(out_.get(), bytes.data(), bytes.size());
    if (n < 0) return errno == EINTR;
    if (output.size() < kOutputBytes)
      output.append(bytes.data(), std::min(static_cast<size_t>(n), kOutputBytes - output.size()));
    return n > 0;
  }
  void kill() const { ::kill(-pid_, SIGKILL); }
  int reap() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return status;
  }

  pid_t pid_ = -1;
  Descriptor out_, ended_;
};

std::string first_line(const std::string& output) {
  const size_t begin = output.find_first_not_of(" \t\r\n");
  if (begin == std::string::npos) return {};
  return beginning(output.substr(begin, output.find('\n', begin) - begin), 200);
}

}  // namespace

Setting filter_command(FilterRun& run) {
  const FilterOptions& o = run.options;
  if (o.command.empty()) return std::nullopt;
  const auto words = o.command_shell ? std::vector<std::string>{"/bin/sh", "-c", o.command} : words_of(o.command);
  const std::string setting = fmt::format("exit code 0 of {}, within {:g} s", o.command, o.command_seconds);
  if (o.dry_run) {
    run.notes.push_back(fmt::format("would be run {} times", run.looked_at.size()));
    return setting;
  }
  run.each(
      [&](const FilterRow& r) -> std::optional<Reason> {
        Child child(words, std::string(r.line) + "\n");
        const Ended ended = child.wait(o.command_seconds);
        if (ended.timeout) return Reason{"too slow", {}};
        if (ended.code == 0) return std::nullopt;
        // A shell's own words for a command that is not there: that is no verdict on a row.
        if (o.command_shell && (ended.code == 126 || ended.code == 127))
          throw Error(ErrorKind::kNotFound, "the shell cannot run it: " + first_line(ended.output), "--command");
        return Reason{fmt::format("exit code {}", ended.code), first_line(ended.output)};
      },
      true);
  return setting;
}

}  // namespace fieldprint::distil
