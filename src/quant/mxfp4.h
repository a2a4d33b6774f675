// MXFP4: 32 values of 4-bit floats (e2m1) under one power of two (OCP Microscaling 1.0).
#pragma once

#include <cstdint>

namespace fieldprint {

struct BlockMXFP4 {
  uint8_t exponent;     // e8m0; 255 reads as 2^128 in GGML files, not as the NaN it is in the OCP format
  uint8_t nibbles[16];  // value i in the low half of byte i, value i + 16 in the high half
};
static_assert(sizeof(BlockMXFP4) == 17);

// e2m1 codes 0..15, doubled to be integers.
inline constexpr int8_t kE2m1Doubled[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

// The doubled values in order, and the code of number `index` of them.
inline constexpr int8_t kE2m1Ascending[15] = {-12, -8, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6, 8, 12};
static inline int e2m1_code(int index) { return index >= 7 ? index - 7 : 15 - index; }

void decode_mxfp4(const void* blocks, float* values, int64_t n);
void encode_mxfp4(const float* values, const float* importance, void* blocks, int64_t n);

}  // namespace fieldprint
