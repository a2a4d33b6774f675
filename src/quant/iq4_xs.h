// IQ4_XS: 256 values in 8 groups, scale * group scale * level, the 16 levels of IQ4_NL.
#pragma once

#include <cstdint>

namespace fieldprint {

struct BlockIQ4_XS {
  uint16_t scale;        // half
  uint16_t groups_high;  // high 2 bits of group g: bits 2 * g ..
  uint8_t
      groups_low[4];  // low 4 bits of group g: byte g / 2, the high half where g is odd; 32 more than the group scale
  uint8_t nibbles[128];  // 16 bytes a group: value i of it in the low half of byte i, value i + 16 in the high half
};
static_assert(sizeof(BlockIQ4_XS) == 136);

void decode_iq4_xs(const void* blocks, float* values, int64_t n);
void encode_iq4_xs(const float* values, const float* importance, void* blocks, int64_t n);

}  // namespace fieldprint
