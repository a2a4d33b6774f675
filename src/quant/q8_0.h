// Q8_0: 32 values, scale * quant.
#pragma once

#include <cstdint>

namespace fieldprint {

struct BlockQ8_0 {
  uint16_t scale;  // half
  int8_t quants[32];
};
static_assert(sizeof(BlockQ8_0) == 34);

void decode_q8_0(const void* blocks, float* values, int64_t n);
void encode_q8_0(const float* values, const float* importance, void* blocks, int64_t n);

}  // namespace fieldprint
