// Q4_1: 32 values, scale * quant + minimum, quants of 4 bits.
#pragma once

#include <cstdint>

namespace fieldprint {

struct BlockQ4_1 {
  uint16_t scale;       // half
  uint16_t minimum;     // half
  uint8_t nibbles[16];  // value i in the low half of byte i, value i + 16 in the high half
};
static_assert(sizeof(BlockQ4_1) == 20);

void decode_q4_1(const void* blocks, float* values, int64_t n);
void encode_q4_1(const float* values, const float* importance, void* blocks, int64_t n);

}  // namespace fieldprint
