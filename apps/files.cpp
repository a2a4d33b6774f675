#include "files.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <iostream>
#include <limits>
#include <nlohmann/json.hpp>

#include "fieldprint/error.h"
#include "signals.h"

namespace fieldprint::cli {

bool in_is_terminal() { return ::isatty(STDIN_FILENO) == 1; }

bool in_has_data() {
  struct stat status {};
  return ::fstat(STDIN_FILENO, &status) == 0 &&
         (S_ISFIFO(status.st_mode) || S_ISREG(status.st_mode) || S_ISSOCK(status.st_mode));
}

static std::string read_all(int fd, const std::string& where) {
  std::string text;
  char block[1 << 16];
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

static void refuse_terminal(const std::string& hint) {
  if (in_is_terminal()) throw Error(ErrorKind::kUsage, "nothing on standard input", {}, hint);
}

std::string read_input(const std::string& hint) {
  refuse_terminal(hint);
  return read_all(STDIN_FILENO, "standard input");
}

void each_line(const std::string& hint, const std::function<void(const std::string&, int)>& call) {
  refuse_terminal(hint);
  std::ios::sync_with_stdio(false);
  std::string line;
  for (int number = 1; std::getline(std::cin, line); ++number) call(line, number);
}

std::string read_file(const std::string& path) {
  if (path == "-") return read_all(STDIN_FILENO, "standard input");
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
      throw Error(ErrorKind::kBadInput, fmt::format("'{}' is no token id", printable),
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
