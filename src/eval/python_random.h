// Python's random.Random(seed).sample, which the harness draws few-shot examples with: the Mersenne Twister MT19937 of
// Matsumoto and Nishimura (1998), https://doi.org/10.1145/272991.272995, seeded from an array of one integer, and the
// choice of places that CPython 3.11 makes of its bits (Lib/random.py).
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace fieldprint {

class PythonRandom {
 public:
  explicit PythonRandom(uint64_t seed);

  // Places of `count` of `population` elements in the order in which they are drawn. Throws Error kUsage where there
  // are fewer.
  std::vector<size_t> sample(size_t population, size_t count);

 private:
  uint64_t below(uint64_t n);  // in [0, n), n > 0
  uint64_t bits(int count);    // at most 64

  std::mt19937 twister_;
};

}  // namespace fieldprint
