#include "quant/q5_k.h"

#include "base/float16.h"
#include "quant/affine_search.h"
#include "quant/q4_k.h"

namespace fieldprint {

void decode_q5_k(const void* blocks, float* values, int64_t n) {
  const auto* block = static_cast<const BlockQ5_K*>(blocks);
  for (int64_t at = 0; at < n; at += 256, ++block) {
    for (int group = 0; group < 8; ++group, values += 32) {
      const float scale = half_to_float(block->scale) * static_cast<float>(group_scale(block->groups, group));
      const float minimum = half_to_float(block->minimum) * static_cast<float>(group_minimum(block->groups, group));
      for (int i = 0; i < 32; ++i) {
        const int low = (block->nibbles[group / 2 * 32 + i] >> (group % 2 * 4)) & 15;
        const int high = (block->high[i] >> group) & 1;
        values[i] = scale * static_cast<float>(low | high << 4) - minimum;
      }
    }
  }
}

void encode_q5_k(const float* values, const float* importance, void* blocks, int64_t n) {
  auto* block = static_cast<BlockQ5_K*>(blocks);
  for (int64_t at = 0; at < n; at += 256, ++block) {
    const float* weights = importance == nullptr ? nullptr : importance + at;
    uint8_t quants[256];
    const GroupAffine affine = encode_group_affine(values + at, weights, 8, 63, 31, quants);
    *block = {};
    block->scale = affine.scale;
    block->minimum = affine.minimum;
    for (int g = 0; g < 8; ++g) pack_group(block->groups, g, affine.scales[g], affine.minimums[g]);
    for (int i = 0; i < 256; ++i) {
      block->nibbles[i / 64 * 32 + i % 32] |= static_cast<uint8_t>((quants[i] & 15) << (i / 32 % 2 * 4));
      block->high[i % 32] |= static_cast<uint8_t>((quants[i] >> 4) << (i / 32));
    }
  }
}

}  // namespace fieldprint
