#include "startup.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "fieldprint/error.h"

extern char** environ;

namespace fieldprint::cli {

namespace {

// Seconds until the first byte on the child's standard output.
double first_byte(const std::vector<std::string>& words) {
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  int pipe_ends[2];
  if (pipe2(pipe_ends, O_CLOEXEC) != 0) throw Error(ErrorKind::kIo, std::strerror(errno), "pipe");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, pipe_ends[1], 1);
  const auto start = std::chrono::steady_clock::now();
  pid_t child = 0;
  const int failed = posix_spawn(&child, "/proc/self/exe", &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(pipe_ends[1]);
  if (failed != 0) {
    close(pipe_ends[0]);
    throw Error(ErrorKind::kIo, std::strerror(failed), "/proc/self/exe");
  }
  char byte = 0;
  ssize_t got = 0;
  do got = read(pipe_ends[0], &byte, 1);
  while (got < 0 && errno == EINTR);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  while (read(pipe_ends[0], &byte, 1) > 0) {
  }
  close(pipe_ends[0]);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (got != 1 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
    throw Error(ErrorKind::kUnsupported, "`fieldprint run` did not answer with this model");
  return seconds;
}

}  // namespace

std::vector<double> measure_startup(const std::string& model, const std::vector<std::string>& flags, int repeats) {
  std::vector<std::string> words = {"fieldprint", "run", "-m", model, "--raw", "-n", "1", "--temp", "0", "-q"};
  words.insert(words.end(), flags.begin(), flags.end());
  words.push_back("a");
  std::vector<double> seconds;
  for (int repeat = 0; repeat <= repeats; ++repeat) {
    const double took = first_byte(words);
    if (repeat > 0) seconds.push_back(took);
  }
  std::sort(seconds.begin(), seconds.end());
  return seconds;
}

}  // namespace fieldprint::cli
