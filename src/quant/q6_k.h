// Q6_K: 256 values in 16 groups, scale * group scale * (quant - 32), quants of 6 bits.
#pragma once

#include <cstdint>

namespace fieldprint {

struct BlockQ6_K {
  uint8_t nibbles[128];  // low 4 bits: value i in byte i / 128 * 64 + i % 64, the high half where i / 64 is odd
  uint8_t high[64];      // high 2 bits: value i in byte i / 128 * 32 + i % 32, bits i / 32 % 4 * 2 ..
  int8_t groups[16];     // group scales
  uint16_t scale;        // half
};
static_assert(sizeof(BlockQ6_K) == 210);

void decode_q6_k(const void* blocks, float* values, int64_t n);
void encode_q6_k(const float* values, const float* importance, void* blocks, int64_t n);

}  // namespace fieldprint
