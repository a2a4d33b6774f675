// Q3_K: 256 values in 16 groups, scale * group scale * quant, quants of 3 bits.
#pragma once

#include <cstdint>

namespace fieldprint {

struct BlockQ3_K {
  uint8_t high[32];    // third bit: value i in bit i / 32 of byte i % 32; where it is 0 the quant is 4 less
  uint8_t quants[64];  // value i in byte i / 128 * 32 + i % 32, bits i / 32 % 4 * 2 ..
  uint8_t groups[12];  // 6 bits a group scale, 32 more than it: low 4 in bytes 0..7, high 2 in bytes 8..11
  uint16_t scale;      // half
};
static_assert(sizeof(BlockQ3_K) == 110);

void decode_q3_k(const void* blocks, float* values, int64_t n);
void encode_q3_k(const float* values, const float* importance, void* blocks, int64_t n);

}  // namespace fieldprint
