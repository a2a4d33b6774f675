// TQ2_0: 256 values, scale * (quant - 1), quants of 2 bits.
#pragma once

#include <cstdint>

namespace fieldprint {

struct BlockTQ2_0 {
  uint8_t quants[64];  // value i in byte i / 128 * 32 + i % 32, bits i / 32 % 4 * 2 ..
  uint16_t scale;      // half
};
static_assert(sizeof(BlockTQ2_0) == 66);

void decode_tq2_0(const void* blocks, float* values, int64_t n);
void encode_tq2_0(const float* values, const float* importance, void* blocks, int64_t n);

}  // namespace fieldprint
