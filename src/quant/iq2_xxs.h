// IQ2_XXS: 256 values in 8 groups, each 4 rows of 8 from a codebook of 256, with signs.
#pragma once

#include <cstdint>

namespace fieldprint {

struct BlockIQ2_XXS {
  uint16_t scale;  // half
  struct {
    uint8_t rows[4];    // of kIq2XxsBook
    uint16_t signs[2];  // 32 bits, little endian: 4 times 7 (see even_signs), then 4 of group scale
  } groups[8];
};
static_assert(sizeof(BlockIQ2_XXS) == 66);

void decode_iq2_xxs(const void* blocks, float* values, int64_t n);
void encode_iq2_xxs(const float* values, const float* importance, void* blocks, int64_t n);

}  // namespace fieldprint
