// TQ1_0: 256 values, scale * (-1, 0 or 1), five ternary digits a byte.
#pragma once

#include <cstdint>

namespace fieldprint {

// A byte is the fraction 0.d1 d2 d3 d4 d5 in base 3, times 256, rounded up: multiplying by 3 shifts the next digit out.
struct BlockTQ1_0 {
  uint8_t fives[48];  // digit k of byte i: value k * 32 + i for the first 32 bytes, 160 + k * 16 + i for the next 16
  uint8_t fours[4];   // digit k of byte i: value 240 + k * 4 + i
  uint16_t scale;     // half
};
static_assert(sizeof(BlockTQ1_0) == 54);

void decode_tq1_0(const void* blocks, float* values, int64_t n);
void encode_tq1_0(const float* values, const float* importance, void* blocks, int64_t n);

}  // namespace fieldprint
