#include "quant/q2_k.h"

#include "base/float16.h"
#include "quant/affine_search.h"

namespace fieldprint {

void decode_q2_k(const void* blocks, float* values, int64_t n) {
  const auto* block = static_cast<const BlockQ2_K*>(blocks);
  for (int64_t at = 0; at < n; at += 256, ++block) {
    for (int group = 0; group < 16; ++group, values += 16) {
      const float scale = half_to_float(block->scale) * static_cast<float>(block->groups[group] & 15);
      const float minimum = half_to_float(block->minimum) * static_cast<float>(block->groups[group] >> 4);
      const uint8_t* quants = block->quants + group / 8 * 32 + group % 2 * 16;
      for (int i = 0; i < 16; ++i) {
        values[i] = scale * static_cast<float>((quants[i] >> (group / 2 % 4 * 2)) & 3) - minimum;
      }
    }
  }
}

void encode_q2_k(const float* values, const float* importance, void* blocks, int64_t n) {
  auto* block = static_cast<BlockQ2_K*>(blocks);
  for (int64_t at = 0; at < n; at += 256, ++block) {
    const float* weights = importance == nullptr ? nullptr : importance + at;
    uint8_t quants[256];
    const GroupAffine affine = encode_group_affine(values + at, weights, 16, 15, 3, quants);
    *block = {};
    block->scale = affine.scale;
    block->minimum = affine.minimum;
    for (int g = 0; g < 16; ++g) {
      block->groups[g] = static_cast<uint8_t>(affine.scales[g] | affine.minimums[g] << 4);
    }
    for (int i = 0; i < 256; ++i) {
      block->quants[i / 128 * 32 + i % 32] |= static_cast<uint8_t>(quants[i] << (i / 32 % 4 * 2));
    }
  }
}

}  // namespace fieldprint
