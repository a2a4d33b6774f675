#include "quant/q4_0.h"

#include "base/float16.h"
#include "quant/scale_search.h"

namespace fieldprint {

void decode_q4_0(const void* blocks, float* values, int64_t n) {
  const auto* block = static_cast<const BlockQ4_0*>(blocks);
  for (int64_t at = 0; at < n; at += 32, ++block, values += 32) {
    const float scale = half_to_float(block->scale);
    for (int i = 0; i < 16; ++i) {
      values[i] = scale * static_cast<float>((block->nibbles[i] & 15) - 8);
      values[i + 16] = scale * static_cast<float>((block->nibbles[i] >> 4) - 8);
    }
  }
}

void encode_q4_0(const float* values, const float* importance, void* blocks, int64_t n) {
  auto* block = static_cast<BlockQ4_0*>(blocks);
  for (int64_t at = 0; at < n; at += 32, ++block) {
    const float* weights = importance == nullptr ? nullptr : importance + at;
    uint8_t quants[32];
    block->scale = encode_scaled<32>(EvenLevels{-8, 7}, values + at, weights, {14, 0.5f}, quants);
    for (int i = 0; i < 16; ++i) block->nibbles[i] = static_cast<uint8_t>(quants[i] | quants[i + 16] << 4);
  }
}

}  // namespace fieldprint
