// IQ3_S: 256 values in 64 rows of 4 from a codebook of 512, with signs.
#pragma once

#include <cstdint>

namespace fieldprint {

struct BlockIQ3_S {
  uint16_t scale;        // half
  uint8_t rows[64];      // low 8 bits of the row of kIq3SBook
  uint8_t rows_high[8];  // the ninth bit: row k in bit k % 8 of byte k / 8
  uint8_t signs[32];     // a set bit is a minus: value i in bit i % 8 of byte i / 8
  uint8_t groups[4];     // 4 bits of group scale for every 8 rows, low half first
};
static_assert(sizeof(BlockIQ3_S) == 110);

void decode_iq3_s(const void* blocks, float* values, int64_t n);
void encode_iq3_s(const float* values, const float* importance, void* blocks, int64_t n);

}  // namespace fieldprint
