// How often a trial repeats what it does. `make memory-trials` does all of it; `make test` a hundredth.
#pragma once

#include <algorithm>
#include <cstdlib>

namespace fieldprint {

// `all` times the share $FIELDPRINT_TRIALS (0.01 where it is not set), at least once.
inline int trials(int all) {
  const char* share = std::getenv("FIELDPRINT_TRIALS");
  return std::max(1, static_cast<int>(all * (share ? std::atof(share) : 0.01)));
}

}  // namespace fieldprint
