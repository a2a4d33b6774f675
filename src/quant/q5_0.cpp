#include "quant/q5_0.h"

#include "base/float16.h"
#include "quant/scale_search.h"

namespace fieldprint {

void decode_q5_0(const void* blocks, float* values, int64_t n) {
  const auto* block = static_cast<const BlockQ5_0*>(blocks);
  for (int64_t at = 0; at < n; at += 32, ++block, values += 32) {
    const float scale = half_to_float(block->scale);
    for (int i = 0; i < 16; ++i) {
      const int low = block->nibbles[i] & 15, first = (block->high[i / 8] >> (i % 8)) & 1;
      const int high = block->nibbles[i] >> 4, second = (block->high[i / 8 + 2] >> (i % 8)) & 1;
      values[i] = scale * static_cast<float>((low | first << 4) - 16);
      values[i + 16] = scale * static_cast<float>((high | second << 4) - 16);
    }
  }
}

void encode_q5_0(const float* values, const float* importance, void* blocks, int64_t n) {
  auto* block = static_cast<BlockQ5_0*>(blocks);
  for (int64_t at = 0; at < n; at += 32, ++block) {
    const float* weights = importance == nullptr ? nullptr : importance + at;
    uint8_t quants[32];
    block->scale = encode_scaled<32>(EvenLevels{-16, 15}, values + at, weights, {14, 0.5f}, quants);
    for (int i = 0; i < 4; ++i) block->high[i] = 0;
    for (int i = 0; i < 16; ++i) {
      block->nibbles[i] = static_cast<uint8_t>((quants[i] & 15) | (quants[i + 16] & 15) << 4);
      block->high[i / 8] |= static_cast<uint8_t>((quants[i] >> 4) << (i % 8));
      block->high[i / 8 + 2] |= static_cast<uint8_t>((quants[i + 16] >> 4) << (i % 8));
    }
  }
}

}  // namespace fieldprint
