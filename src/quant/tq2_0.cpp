#include "quant/tq2_0.h"

#include "base/float16.h"
#include "quant/scale_search.h"

namespace fieldprint {

void decode_tq2_0(const void* blocks, float* values, int64_t n) {
  const auto* block = static_cast<const BlockTQ2_0*>(blocks);
  for (int64_t at = 0; at < n; at += 256, ++block, values += 256) {
    const float scale = half_to_float(block->scale);
    for (int i = 0; i < 256; ++i) {
      const int quant = (block->quants[i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2)) & 3;
      values[i] = scale * static_cast<float>(quant - 1);
    }
  }
}

void encode_tq2_0(const float* values, const float* importance, void* blocks, int64_t n) {
  auto* block = static_cast<BlockTQ2_0*>(blocks);
  for (int64_t at = 0; at < n; at += 256, ++block) {
    const float* weights = importance == nullptr ? nullptr : importance + at;
    uint8_t quants[256];
    *block = {};
    block->scale = encode_scaled<256>(EvenLevels{-1, 1}, values + at, weights, {32, 0.15f}, quants);
    for (int i = 0; i < 256; ++i) {
      block->quants[i / 128 * 32 + i % 32] |= static_cast<uint8_t>(quants[i] << (i / 32 % 4 * 2));
    }
  }
}

}  // namespace fieldprint
