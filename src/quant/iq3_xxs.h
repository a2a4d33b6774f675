// IQ3_XXS: 256 values in 8 groups, each 8 rows of 4 from a codebook of 256, with signs.
#pragma once

#include <cstdint>

namespace fieldprint {

struct BlockIQ3_XXS {
  uint16_t scale;      // half
  uint8_t rows[64];    // of kIq3XxsBook
  uint16_t signs[16];  // a pair a group, 32 bits, little endian: 4 times 7 (see even_signs), then 4 of group scale
};
static_assert(sizeof(BlockIQ3_XXS) == 98);

void decode_iq3_xxs(const void* blocks, float* values, int64_t n);
void encode_iq3_xxs(const float* values, const float* importance, void* blocks, int64_t n);

}  // namespace fieldprint
