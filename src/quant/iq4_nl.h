// IQ4_NL: 32 values, scale * level, one of 16 uneven levels each.
#pragma once

#include <cstdint>

namespace fieldprint {

struct BlockIQ4_NL {
  uint16_t scale;       // half
  uint8_t nibbles[16];  // value i in the low half of byte i, value i + 16 in the high half
};
static_assert(sizeof(BlockIQ4_NL) == 18);

inline constexpr int8_t kIq4Levels[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

void decode_iq4_nl(const void* blocks, float* values, int64_t n);
void encode_iq4_nl(const float* values, const float* importance, void* blocks, int64_t n);

}  // namespace fieldprint
