// Q5_K: 256 values in 8 groups, scale * group scale * quant - minimum * group minimum, quants of 5 bits.
#pragma once

#include <cstdint>

namespace fieldprint {

struct BlockQ5_K {
  uint16_t scale;        // half
  uint16_t minimum;      // half
  uint8_t groups[12];    // as in BlockQ4_K
  uint8_t high[32];      // the fifth bit: value i in bit i / 32 of byte i % 32
  uint8_t nibbles[128];  // value i in byte i / 64 * 32 + i % 32, the high half where i / 32 is odd
};
static_assert(sizeof(BlockQ5_K) == 176);

void decode_q5_k(const void* blocks, float* values, int64_t n);
void encode_q5_k(const float* values, const float* importance, void* blocks, int64_t n);

}  // namespace fieldprint
