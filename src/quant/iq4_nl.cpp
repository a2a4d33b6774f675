#include "quant/iq4_nl.h"

#include "base/float16.h"
#include "quant/scale_search.h"

namespace fieldprint {

void decode_iq4_nl(const void* blocks, float* values, int64_t n) {
  const auto* block = static_cast<const BlockIQ4_NL*>(blocks);
  for (int64_t at = 0; at < n; at += 32, ++block, values += 32) {
    const float scale = half_to_float(block->scale);
    for (int i = 0; i < 16; ++i) {
      values[i] = scale * static_cast<float>(kIq4Levels[block->nibbles[i] & 15]);
      values[i + 16] = scale * static_cast<float>(kIq4Levels[block->nibbles[i] >> 4]);
    }
  }
}

namespace {

constexpr UnevenLevels kLevels(kIq4Levels);

}  // namespace

void encode_iq4_nl(const float* values, const float* importance, void* blocks, int64_t n) {
  auto* block = static_cast<BlockIQ4_NL*>(blocks);
  for (int64_t at = 0; at < n; at += 32, ++block) {
    const float* weights = importance == nullptr ? nullptr : importance + at;
    uint8_t quants[32];
    block->scale = encode_scaled<32>(kLevels, values + at, weights, {14, 8.0f}, quants);
    for (int i = 0; i < 16; ++i) block->nibbles[i] = static_cast<uint8_t>(quants[i] | quants[i + 16] << 4);
  }
}

}  // namespace fieldprint
