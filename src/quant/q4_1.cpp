#include "quant/q4_1.h"

#include "base/float16.h"
#include "quant/affine_search.h"

namespace fieldprint {

void decode_q4_1(const void* blocks, float* values, int64_t n) {
  const auto* block = static_cast<const BlockQ4_1*>(blocks);
  for (int64_t at = 0; at < n; at += 32, ++block, values += 32) {
    const float scale = half_to_float(block->scale);
    const float minimum = half_to_float(block->minimum);
    for (int i = 0; i < 16; ++i) {
      values[i] = scale * static_cast<float>(block->nibbles[i] & 15) + minimum;
      values[i + 16] = scale * static_cast<float>(block->nibbles[i] >> 4) + minimum;
    }
  }
}

void encode_q4_1(const float* values, const float* importance, void* blocks, int64_t n) {
  auto* block = static_cast<BlockQ4_1*>(blocks);
  for (int64_t at = 0; at < n; at += 32, ++block) {
    const float* weights = importance == nullptr ? nullptr : importance + at;
    uint8_t quants[32];
    const HalfAffine affine = encode_affine_32(values + at, weights, 15, quants);
    block->scale = affine.scale;
    block->minimum = affine.minimum;
    for (int i = 0; i < 16; ++i) block->nibbles[i] = static_cast<uint8_t>(quants[i] | quants[i + 16] << 4);
  }
}

}  // namespace fieldprint
