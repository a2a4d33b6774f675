// Q4_0: 32 values, scale * (quant - 8), quants of 4 bits.
#pragma once

#include <cstdint>

namespace fieldprint {

struct BlockQ4_0 {
  uint16_t scale;       // half
  uint8_t nibbles[16];  // value i in the low half of byte i, value i + 16 in the high half
};
static_assert(sizeof(BlockQ4_0) == 18);

void decode_q4_0(const void* blocks, float* values, int64_t n);
void encode_q4_0(const float* values, const float* importance, void* blocks, int64_t n);

}  // namespace fieldprint
