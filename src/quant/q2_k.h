// Q2_K: 256 values in 16 groups, scale * group scale * quant - minimum * group minimum, quants of 2 bits.
#pragma once

#include <cstdint>

namespace fieldprint {

struct BlockQ2_K {
  uint8_t groups[16];  // of a group: scale in the low 4 bits, minimum in the high 4
  uint8_t quants[64];  // value i in byte i / 128 * 32 + i % 32, bits i / 32 % 4 * 2 ..
  uint16_t scale;      // half
  uint16_t minimum;    // half
};
static_assert(sizeof(BlockQ2_K) == 84);

void decode_q2_k(const void* blocks, float* values, int64_t n);
void encode_q2_k(const float* values, const float* importance, void* blocks, int64_t n);

}  // namespace fieldprint
