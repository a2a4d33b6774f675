// The time this thread has spent computing: what a bound on running time can be held against on a busy machine.
#pragma once

#include <ctime>

namespace fieldprint {

inline double cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

}  // namespace fieldprint
