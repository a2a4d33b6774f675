// The override's process, as a process.
#pragma once

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>

#include "base/unix_socket.h"
#include "fieldprint/error.h"
#include "fieldprint/override.h"
#include "override/files.h"

namespace fieldprint {

class RunningOverride {
 public:
  explicit RunningOverride(std::string directory) : directory_(std::move(directory)), child_(::fork()) {
    if (child_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // it does not outlive the test
      try {
        OverrideProcess({.directory = directory_}).run();
        ::_exit(0);
      } catch (const std::exception&) {
        ::_exit(1);
      }
    }
    for (int tries = 0; !connect_in(directory_, overrides::kSocketName); ++tries) {
      if (tries == 5'000) throw std::runtime_error("the override's process does not listen");
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  ~RunningOverride() { kill(); }
  RunningOverride(const RunningOverride&) = delete;
  RunningOverride& operator=(const RunningOverride&) = delete;

  void kill() {
    if (child_ <= 0) return;
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
    child_ = -1;
  }

 private:
  const std::string directory_;
  pid_t child_;
};

}  // namespace fieldprint
