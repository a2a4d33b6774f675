#include "quant/q8_0.h"

#include "base/float16.h"
#include "quant/scale_search.h"

namespace fieldprint {

void decode_q8_0(const void* blocks, float* values, int64_t n) {
  const auto* block = static_cast<const BlockQ8_0*>(blocks);
  for (int64_t at = 0; at < n; at += 32, ++block, values += 32) {
    const float scale = half_to_float(block->scale);
    for (int i = 0; i < 32; ++i) values[i] = scale * static_cast<float>(block->quants[i]);
  }
}

namespace {

// Not -128: kernels take the magnitude of a quant as 7 bits.
constexpr EvenLevels kLevels{-127, 127};

}  // namespace

void encode_q8_0(const float* values, const float* importance, void* blocks, int64_t n) {
  auto* block = static_cast<BlockQ8_0*>(blocks);
  for (int64_t at = 0; at < n; at += 32, ++block) {
    const float* weights = importance == nullptr ? nullptr : importance + at;
    uint8_t quants[32];
    block->scale = encode_scaled<32>(kLevels, values + at, weights, {8, 0.5f}, quants);
    for (int i = 0; i < 32; ++i) block->quants[i] = static_cast<int8_t>(quants[i] - 127);
  }
}

}  // namespace fieldprint
