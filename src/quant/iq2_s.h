// IQ2_S: 256 values in 32 rows of 8 from a codebook of 1024, with signs.
#pragma once

#include <cstdint>

namespace fieldprint {

struct BlockIQ2_S {
  uint16_t scale;        // half
  uint8_t rows[32];      // low 8 bits of the row of kIq2SBook
  uint8_t signs[32];     // a set bit is a minus
  uint8_t rows_high[8];  // high 2 bits of row k: byte k / 4, bits k % 4 * 2 ..
  uint8_t groups[8];     // 4 bits of group scale for every two rows, low half first
};
static_assert(sizeof(BlockIQ2_S) == 82);

void decode_iq2_s(const void* blocks, float* values, int64_t n);
void encode_iq2_s(const float* values, const float* importance, void* blocks, int64_t n);

}  // namespace fieldprint
