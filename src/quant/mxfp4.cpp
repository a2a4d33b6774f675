#include "quant/mxfp4.h"

#include <bit>

#include "quant/scale_search.h"

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

namespace {

constexpr UnevenLevels kLevels(kE2m1Ascending);

}  // namespace

void encode_mxfp4(const float* values, const float* importance, void* blocks, int64_t n) {
  auto* block = static_cast<BlockMXFP4*>(blocks);
  for (int64_t at = 0; at < n; at += 32, ++block) {
    Prepared<32> prepared;
    prepare(values + at, importance == nullptr ? nullptr : importance + at, &prepared);
    *block = {};
    if (prepared.unit.size == 0x1p-126f) continue;
    // The largest magnitude lies in [1, 2) units and the largest level is 12: from 2^-2 up nothing is clipped, at 2^-5
    // all but an outlier of little weight would be.
    const int unit = static_cast<int>(std::bit_cast<uint32_t>(prepared.unit.size) >> 23) - 127;
    int best = 0;
    float best_error = 0.0f;
    bool first = true;
    for (int power = -5; power <= -2; ++power) {
      const int exponent = unit + power + 128;
      if (exponent < 0 || exponent > 254) continue;
      const float scale = std::bit_cast<float>(static_cast<uint32_t>(power + 127) << 23);
      const float error = fit_scale(kLevels, prepared.x, prepared.w, 32, scale).error;
      if (first || error < best_error) best = power, best_error = error, first = false;
    }
    block->exponent = static_cast<uint8_t>(unit + best + 128);
    uint8_t indices[32];
    nearest_indices(kLevels, prepared.x, 32, std::bit_cast<float>(static_cast<uint32_t>(best + 127) << 23), indices);
    for (int i = 0; i < 16; ++i) {
      block->nibbles[i] = static_cast<uint8_t>(e2m1_code(indices[i]) | e2m1_code(indices[i + 16]) << 4);
    }
  }
}

}  // namespace fieldprint
