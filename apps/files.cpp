#include "files.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>

#include "fieldprint/error.h"
#include "output.h"
#include "signals.h"

namespace fieldprint::cli {

bool in_is_terminal() { return ::isatty(STDIN_FILENO) == 1; }

bool in_has_data() {
  struct stat status {};
  return ::fstat(STDIN_FILENO, &status) == 0 &&
         (S_ISFIFO(status.st_mode) || S_ISREG(status.st_mode) || S_ISSOCK(status.st_mode));
}

namespace {

// Of a process, by /proc: its standard input, its program and its parent.
struct Process {
  struct stat input {};
  std::string program;
  pid_t parent = 0;
};

std::optional<Process> look_at(pid_t pid) {
  const std::string folder = fmt::format("/proc/{}/", pid);
  Process process;
  if (::stat((folder + "fd/0").c_str(), &process.input) != 0) return std::nullopt;
  std::error_code error;
  process.program = std::filesystem::read_symlink(folder + "exe", error).filename().string();
  std::ifstream file(folder + "stat");
  const std::string line{std::istreambuf_iterator<char>(file), {}};
  const size_t name_end = line.rfind(") ");  // "7 (a name) S 3 ...": the name may hold anything
  if (name_end == std::string::npos || line.size() < name_end + 5) return std::nullopt;
  process.parent = static_cast<pid_t>(std::strtol(line.c_str() + name_end + 4, nullptr, 10));
  return process;
}

bool is_shell(std::string_view program) {
  static constexpr std::string_view kShells[] = {"bash",  "busybox", "dash", "fish", "ksh",
                                                 "ksh93", "mksh",    "sh",   "yash", "zsh"};
  return std::find(std::begin(kShells), std::end(kShells), program) != std::end(kShells);
}

constexpr int kQuietWait_ms = 2000;

std::string read_all(int fd, const std::string& where) {
  std::string text;
  char block[1 << 16];
  pollfd waiting{fd, POLLIN, 0};
  if (fd == STDIN_FILENO && ::poll(&waiting, 1, kQuietWait_ms) == 0)
    note("waiting for standard input, which is open and silent; `< /dev/null` in the command closes it");
  for (;;) {
    const auto got = ::read(fd, block, sizeof block);
    if (got == 0) return text;
    if (got > 0) {
      text.append(block, static_cast<size_t>(got));
    } else if (errno != EINTR) {
      throw Error(ErrorKind::kIo, std::strerror(errno), where);
    } else if (interrupted()) {
      throw Interrupted{};
    }
  }
}

void begin_input(const std::string& hint) {
  static bool begun = false;
  if (in_is_terminal()) throw Error(ErrorKind::kUsage, "nothing on standard input", {}, hint);
  if (begun) throw Error(ErrorKind::kUsage, "standard input can be read only once", {}, "put one of the two in a file");
  begun = true;
}

}  // namespace

bool in_belongs_to_script() {
  struct stat ours {};
  if (::fstat(STDIN_FILENO, &ours) != 0) return false;
  // Programs such as timeout hand on what they were given; the first that has another input ends the walk.
  for (pid_t pid = ::getppid(); pid > 1;) {
    const auto process = look_at(pid);
    if (!process || process->input.st_dev != ours.st_dev || process->input.st_ino != ours.st_ino) return false;
    if (is_shell(process->program)) return true;
    pid = process->parent;
  }
  return false;
}

bool in_is_ready() {
  pollfd waiting{STDIN_FILENO, POLLIN, 0};
  return ::poll(&waiting, 1, 0) > 0 && (waiting.revents & POLLIN) != 0;
}

std::string read_input(const std::string& hint) {
  begin_input(hint);
  return read_all(STDIN_FILENO, "standard input");
}

char ask(const std::string& question) {
  write_err(question);
  char first = 0;
  for (;;) {
    char letter = 0;
    const auto got = ::read(STDIN_FILENO, &letter, 1);
    if (got < 0 && errno == EINTR && interrupted()) throw Interrupted{};
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      write_err("\n");
      return 0;
    }
    if (first == 0 || first == ' ') first = letter;
    if (letter == '\n') return static_cast<char>(std::tolower(static_cast<unsigned char>(first)));
  }
}

void each_line(const std::string& hint, const std::function<void(const std::string&, int)>& call) {
  begin_input(hint);
  std::ios::sync_with_stdio(false);
  std::string line;
  for (int number = 1; std::getline(std::cin, line); ++number) call(line, number);
}

std::string read_file(const std::string& path) {
  if (path == "-") return read_input("- stands for standard input: hand something in by a pipe or with <");
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) throw Error(errno == ENOENT ? ErrorKind::kNotFound : ErrorKind::kIo, std::strerror(errno), path);
  try {
    std::string text = read_all(::fileno(file), path);
    std::fclose(file);
    return text;
  } catch (...) {
    std::fclose(file);
    throw;
  }
}

std::vector<TokenId> parse_ids(std::string_view text, const std::string& where) {
  constexpr std::string_view kBetween = " \t\r\n,[]";
  std::vector<TokenId> ids;
  int line = 1;
  for (size_t i = 0; i < text.size();) {
    if (kBetween.find(text[i]) != std::string_view::npos) {
      line += text[i++] == '\n';
      continue;
    }
    const size_t end = std::min(text.find_first_of(kBetween, i), text.size());
    const std::string_view word = text.substr(i, end - i);
    TokenId id = 0;
    const auto [stop, error] = std::from_chars(word.data(), word.data() + word.size(), id);
    if (error != std::errc() || stop != word.data() + word.size() || id < 0) {
      std::string printable(word.substr(0, 40));
      repair_utf8(printable);
      throw Error(ErrorKind::kBadInput, fmt::format("'{}' is not a token id", printable),
                  fmt::format("{}:{}", where, line), "ids are decimal numbers, as `fieldprint tokenize` prints them");
    }
    ids.push_back(id);
    i = end;
  }
  return ids;
}

bool repair_utf8(std::string& text) {
  using nlohmann::json;
  // The JSON library's own replacement, so that what we repair is exactly what it would have refused.
  std::string repaired =
      json::parse(json(text).dump(-1, ' ', false, json::error_handler_t::replace)).get<std::string>();
  if (repaired == text) return false;
  text = std::move(repaired);
  return true;
}

}  // namespace fieldprint::cli
