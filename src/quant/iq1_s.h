// IQ1_S: 256 values in 8 groups, scale * group scale * (row + delta), each 4 rows of 8 from a codebook of 2048.
#pragma once

#include <cstdint>

namespace fieldprint {

struct BlockIQ1_S {
  uint16_t scale;      // half
  uint8_t rows[32];    // low 8 bits of the row of kIq1Book
  uint16_t groups[8];  // 4 times 3 high bits of a row, 3 of group scale, 1: delta is -1/8 instead of 1/8
};
static_assert(sizeof(BlockIQ1_S) == 50);

void decode_iq1_s(const void* blocks, float* values, int64_t n);
void encode_iq1_s(const float* values, const float* importance, void* blocks, int64_t n);

}  // namespace fieldprint
