#include "quant/random_blocks.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <string>

#include "base/sha256.h"

namespace fieldprint {
namespace {

constexpr int64_t kValues = 1 << 18;

struct Moments {
  double mean, deviation, row_mean;  // of all, and the deviation of the means of rows of 2048
};

Moments moments_of(const QuantType& type, float deviation) {
  std::vector<std::byte> blocks(type.bytes(kValues));
  std::vector<float> values(kValues);
  Rng random(7);
  RandomBlocks(type, deviation).fill(random, blocks.data(), kValues);
  type.decode(blocks.data(), values.data(), kValues);
  double sum = 0, squares = 0, row_squares = 0;
  for (int64_t row = 0; row < kValues / 2048; ++row) {
    double row_sum = 0;
    for (int64_t i = row * 2048; i < (row + 1) * 2048; ++i) {
      const double value = static_cast<double>(values[static_cast<size_t>(i)]);
      EXPECT_TRUE(std::isfinite(value)) << type.name;
      row_sum += value;
      squares += value * value;
    }
    sum += row_sum;
    row_squares += row_sum / 2048 * row_sum / 2048;
  }
  return {sum / kValues, std::sqrt(squares / kValues), std::sqrt(row_squares / (kValues / 2048.0))};
}

TEST(RandomBlocks, HaveTheDeviationThatWasAskedForInEveryType) {
  for (const QuantType& type : quant_types()) {
    for (const float deviation : {0.002f, 0.022f, 0.6f}) {
      const Moments moments = moments_of(type, deviation);
      const double wanted = static_cast<double>(deviation);
      // Half scales of Q6_K for tiny weights, and the 3 bits of NVFP4's, are coarse.
      EXPECT_NEAR(moments.deviation / wanted, 1.0, 0.05) << type.name << " " << deviation;
      EXPECT_LT(std::abs(moments.mean), 0.02 * wanted) << type.name << " " << deviation;
      EXPECT_LT(moments.row_mean, 0.12 * wanted) << type.name << " " << deviation;  // rows do not lean to one side
    }
  }
}

TEST(RandomBlocks, DoNotRepeat) {
  for (const QuantType& type : quant_types()) {
    if (type.block_elements == 1) continue;
    constexpr int64_t kCount = 4096;
    std::vector<char> blocks(type.bytes(static_cast<uint64_t>(kCount * type.block_elements)));
    Rng random(1);
    RandomBlocks(type, 0.02f).fill(random, blocks.data(), kCount * type.block_elements);
    std::set<std::string> seen;
    for (int64_t i = 0; i < kCount; ++i) {
      seen.emplace(blocks.data() + i * type.block_bytes, static_cast<size_t>(type.block_bytes));
    }
    EXPECT_EQ(seen.size(), static_cast<size_t>(kCount)) << type.name;
  }
}

}  // namespace
}  // namespace fieldprint
