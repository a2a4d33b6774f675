// IQ2_XS: 256 values in 32 rows of 8 from a codebook of 512, with signs.
#pragma once

#include <cstdint>

namespace fieldprint {

struct BlockIQ2_XS {
  uint16_t scale;     // half
  uint16_t rows[32];  // low 9 bits: row of kIq2XsBook; high 7: signs (see even_signs)
  uint8_t groups[8];  // 4 bits of group scale for every two rows, low half first
};
static_assert(sizeof(BlockIQ2_XS) == 74);

void decode_iq2_xs(const void* blocks, float* values, int64_t n);
void encode_iq2_xs(const float* values, const float* importance, void* blocks, int64_t n);

}  // namespace fieldprint
