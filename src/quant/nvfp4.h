// NVFP4: 64 values of 4-bit floats (e2m1) in 4 groups of 16, each under a ue4m3 scale.
#pragma once

#include <cstdint>

namespace fieldprint {

struct BlockNVFP4 {
  uint8_t scales[4];    // ue4m3, one a group
  uint8_t nibbles[32];  // 8 bytes a group: value i of it in the low half of byte i, value i + 8 in the high half
};
static_assert(sizeof(BlockNVFP4) == 36);

void decode_nvfp4(const void* blocks, float* values, int64_t n);
void encode_nvfp4(const float* values, const float* importance, void* blocks, int64_t n);

}  // namespace fieldprint
