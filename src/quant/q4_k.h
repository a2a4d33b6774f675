// Q4_K: 256 values in 8 groups, scale * group scale * quant - minimum * group minimum, quants of 4 bits.
#pragma once

#include <cstdint>

namespace fieldprint {

struct BlockQ4_K {
  uint16_t scale;        // half
  uint16_t minimum;      // half
  uint8_t groups[12];    // 6 bits a group scale, 6 a group minimum: see group_scale
  uint8_t nibbles[128];  // value i in byte i / 64 * 32 + i % 32, the high half where i / 32 is odd
};
static_assert(sizeof(BlockQ4_K) == 144);

// Bytes 0..3: scales of groups 0..3, bytes 4..7: their minimums, 6 bits each. Bytes 8..11: low 4 bits of scale and
// minimum of groups 4..7, whose high 2 bits are the top bits of bytes 0..3 and 4..7. Q5_K packs the same way.
static inline int group_scale(const uint8_t* groups, int group) {
  return group < 4 ? groups[group] & 63 : (groups[group + 4] & 15) | (groups[group - 4] >> 6) << 4;
}
static inline int group_minimum(const uint8_t* groups, int group) {
  return group < 4 ? groups[group + 4] & 63 : groups[group + 4] >> 4 | (groups[group] >> 6) << 4;
}

// Into groups that are zero.
static inline void pack_group(uint8_t* groups, int group, int scale, int minimum) {
  if (group < 4) {
    groups[group] |= static_cast<uint8_t>(scale);
    groups[group + 4] |= static_cast<uint8_t>(minimum);
  } else {
    groups[group + 4] |= static_cast<uint8_t>((scale & 15) | (minimum & 15) << 4);
    groups[group - 4] |= static_cast<uint8_t>((scale >> 4) << 6);
    groups[group] |= static_cast<uint8_t>((minimum >> 4) << 6);
  }
}

void decode_q4_k(const void* blocks, float* values, int64_t n);
void encode_q4_k(const float* values, const float* importance, void* blocks, int64_t n);

}  // namespace fieldprint
