// Q5_1: 32 values, scale * quant + minimum, quants of 5 bits.
#pragma once

#include <cstdint>

namespace fieldprint {

struct BlockQ5_1 {
  uint16_t scale;       // half
  uint16_t minimum;     // half
  uint8_t high[4];      // the fifth bit: value i in bit i % 8 of byte i / 8
  uint8_t nibbles[16];  // value i in the low half of byte i, value i + 16 in the high half
};
static_assert(sizeof(BlockQ5_1) == 24);

void decode_q5_1(const void* blocks, float* values, int64_t n);
void encode_q5_1(const float* values, const float* importance, void* blocks, int64_t n);

}  // namespace fieldprint
