// IQ1_M: 256 values in 32 rows of 8 from a codebook of 2048, scale * group scale * (row + delta).
#pragma once

#include <cstdint>

namespace fieldprint {

struct BlockIQ1_M {
  uint8_t rows[32];       // low 8 bits of the row of kIq1Book
  uint8_t rows_high[16];  // 4 bits a row, low half first: 3 high bits of the row, 1: delta is -1/8 instead of 1/8
  // 4 times 3 bits of group scale, each for two rows, then 4 bits of the half that is the scale.
  uint16_t groups[4];
};
static_assert(sizeof(BlockIQ1_M) == 56);

void decode_iq1_m(const void* blocks, float* values, int64_t n);
void encode_iq1_m(const float* values, const float* importance, void* blocks, int64_t n);

}  // namespace fieldprint
