// Random weights made straight in their type: every bit of a block is random but its scale, which is set so that the
// values have the given deviation. No encoder runs, so it is as fast as the random numbers.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/rng.h"
#include "quant/type.h"

namespace fieldprint {

class RandomBlocks {
 public:
  // Values of mean about 0 and standard deviation about `deviation` (> 0, within a few percent), all finite.
  RandomBlocks(const QuantType& type, float deviation);

  // Writes the blocks of `n` values, a multiple of the type's block_elements. The bytes follow from the type, the
  // deviation and the state of `random` alone.
  void fill(Rng& random, void* blocks, int64_t n) const;

 private:
  static constexpr size_t kScales = 256;   // a block's scale is one of so many, within a quarter of the mean
  static constexpr size_t kValues = 4096;  // a float is one of so many, evenly spaced

  void set_scales(double scale, double jitter);

  const QuantType* type_;
  const struct ScaleField* field_ = nullptr;     // nullptr: a type without blocks
  std::vector<std::array<std::byte, 4>> table_;  // scale and minimum as they stand in a block, or a value
};

}  // namespace fieldprint
