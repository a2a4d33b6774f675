#include "hub/command.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "fieldprint/error.h"

namespace fieldprint {
namespace {

constexpr size_t kMostOutput = 64 * 1024;

class Pipe {
 public:
  Pipe() {
    if (::pipe2(ends_, O_CLOEXEC) != 0)
      throw Error(ErrorKind::kIo, fmt::format("cannot open a pipe: {}", std::strerror(errno)));
  }
  ~Pipe() {
    close_reader();
    close_writer();
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  int reader() const { return ends_[0]; }
  int writer() const { return ends_[1]; }
  void close_reader() { close_end(ends_[0]); }
  void close_writer() { close_end(ends_[1]); }

 private:
  static void close_end(int& end) {
    if (end >= 0) ::close(end);
    end = -1;
  }
  int ends_[2] = {-1, -1};
};

// Reads once; closes the pipe at its end.
void drain(Pipe& pipe, std::string& text) {
  char buffer[4096];
  const ssize_t got = ::read(pipe.reader(), buffer, sizeof buffer);
  if (got > 0) {
    text.append(buffer, static_cast<size_t>(got));
    if (text.size() > kMostOutput) text.erase(0, text.size() - kMostOutput);
  } else if (got == 0 || errno != EINTR) {
    pipe.close_reader();
  }
}

std::vector<std::string> merged_environment(const std::vector<std::pair<std::string, std::string>>& added) {
  std::vector<std::string> merged;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    bool replaced = false;
    for (const auto& [key, value] : added) replaced |= text.substr(0, text.find('=')) == key;
    if (!replaced) merged.emplace_back(text);
  }
  for (const auto& [key, value] : added) merged.push_back(fmt::format("{}={}", key, value));
  return merged;
}

std::vector<char*> c_strings(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& string : strings) pointers.push_back(const_cast<char*>(string.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// Between fork and exec only what is safe there in a program with threads.
[[noreturn]] void become(char** arguments, char** environment, int null, int output, int errors, int failure,
                         pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) ::_exit(127);  // the parent died before the line above
  ::setpgid(0, 0);
  ::dup2(null, STDIN_FILENO);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(errors, STDERR_FILENO);
  ::signal(SIGPIPE, SIG_DFL);
  ::execvpe(arguments[0], arguments, environment);
  const int error = errno;
  [[maybe_unused]] const ssize_t told = ::write(failure, &error, sizeof error);
  ::_exit(127);
}

int wait_for(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

// SIGTERM to the child's whole group, SIGKILL to what is left of it two seconds later.
void end_group(pid_t child) {
  ::kill(-child, SIGTERM);
  for (int i = 0; i < 100; ++i) {
    if (::waitpid(child, nullptr, WNOHANG) == child) {
      ::kill(-child, SIGKILL);
      return;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  ::kill(-child, SIGKILL);
  wait_for(child);
}

}  // namespace

CommandResult run_command(const std::vector<std::string>& arguments,
                          const std::vector<std::pair<std::string, std::string>>& environment,
                          const std::function<void(const std::string& output)>& tick) {
  const std::vector<std::string> variables = merged_environment(environment);
  const std::vector<char*> argument_pointers = c_strings(arguments);
  const std::vector<char*> variable_pointers = c_strings(variables);
  Pipe output, errors, failure;
  const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);

  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child == 0) {
    become(const_cast<char**>(argument_pointers.data()), const_cast<char**>(variable_pointers.data()), null,
           output.writer(), errors.writer(), failure.writer(), parent);
  }
  const int fork_error = errno;
  if (null >= 0) ::close(null);
  if (child < 0) {
    throw Error(ErrorKind::kIo, fmt::format("cannot start another program: {}", std::strerror(fork_error)),
                arguments[0]);
  }
  ::setpgid(child, child);  // whoever comes first; the other call fails harmlessly
  output.close_writer();
  errors.close_writer();
  failure.close_writer();

  int exec_error = 0;
  ssize_t told = 0;
  while ((told = ::read(failure.reader(), &exec_error, sizeof exec_error)) < 0 && errno == EINTR) {
  }
  if (told == sizeof exec_error) {
    wait_for(child);
    throw Error(exec_error == ENOENT ? ErrorKind::kNotFound : ErrorKind::kIo,
                fmt::format("cannot start the program: {}", std::strerror(exec_error)), arguments[0]);
  }

  CommandResult result;
  try {
    while (output.reader() >= 0 || errors.reader() >= 0) {
      pollfd watched[2] = {{output.reader(), POLLIN, 0}, {errors.reader(), POLLIN, 0}};  // poll skips negative ones
      ::poll(watched, 2, 100);
      if (watched[0].revents != 0) drain(output, result.output);
      if (watched[1].revents != 0) drain(errors, result.errors);
      if (tick) tick(result.output);
    }
  } catch (...) {
    end_group(child);
    throw;
  }
  result.status = wait_for(child);
  return result;
}

}  // namespace fieldprint
