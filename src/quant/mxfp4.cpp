#include "quant/mxfp4.h"

#include <bit>

namespace fieldprint {

namespace {

// 2^(exponent - 128): half the scale, for the doubled values. The first two codes are subnormal.
float half_scale(uint8_t exponent) {
  return std::bit_cast<float>(exponent < 2 ? 0x00200000u << exponent : static_cast<uint32_t>(exponent - 1) << 23);
}

}  // namespace

void decode_mxfp4(const void* blocks, float* values, int64_t n) {
  const auto* block = static_cast<const BlockMXFP4*>(blocks);
  for (int64_t at = 0; at < n; at += 32, ++block, values += 32) {
    const float scale = half_scale(block->exponent);
    for (int i = 0; i < 16; ++i) {
      values[i] = scale * static_cast<float>(kE2m1Doubled[block->nibbles[i] & 15]);
      values[i + 16] = scale * static_cast<float>(kE2m1Doubled[block->nibbles[i] >> 4]);
    }
  }
}

}  // namespace fieldprint
