// Q5_0: 32 values, scale * (quant - 16), quants of 5 bits.
#pragma once

#include <cstdint>

namespace fieldprint {

struct BlockQ5_0 {
  uint16_t scale;       // half
  uint8_t high[4];      // the fifth bit: value i in bit i % 8 of byte i / 8
  uint8_t nibbles[16];  // value i in the low half of byte i, value i + 16 in the high half
};
static_assert(sizeof(BlockQ5_0) == 22);

void decode_q5_0(const void* blocks, float* values, int64_t n);
void encode_q5_0(const float* values, const float* importance, void* blocks, int64_t n);

}  // namespace fieldprint
