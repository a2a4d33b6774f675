// F16: IEEE half.
#pragma once

#include <cstdint>

namespace fieldprint {

struct BlockF16 {
  uint16_t bits;
};
static_assert(sizeof(BlockF16) == 2);

void decode_f16(const void* blocks, float* values, int64_t n);
void encode_f16(const float* values, const float* importance, void* blocks, int64_t n);

}  // namespace fieldprint
