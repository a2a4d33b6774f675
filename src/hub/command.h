// Another program, run to its end without a shell.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace fieldprint {

struct CommandResult {
  int status = 0;      // exit code; 128 + signal where a signal ended it
  std::string output;  // the last 64 KB of what it printed on stdout
  std::string errors;  // the same of stderr
};

// Runs `arguments[0]`, found by PATH, with nothing on stdin and `environment` added to ours. `tick` is called some ten
// times a second with the output so far; if it throws, the program and what it started are ended before the exception
// leaves. If we are killed, the program gets SIGTERM.
// Throws Error kNotFound where there is no such program, kIo where none can be started.
CommandResult run_command(const std::vector<std::string>& arguments,
                          const std::vector<std::pair<std::string, std::string>>& environment,
                          const std::function<void(const std::string& output)>& tick = {});

}  // namespace fieldprint
