// BF16: the upper half of a float.
#pragma once

#include <cstdint>

namespace fieldprint {

struct BlockBF16 {
  uint16_t bits;
};
static_assert(sizeof(BlockBF16) == 2);

void decode_bf16(const void* blocks, float* values, int64_t n);
void encode_bf16(const float* values, const float* importance, void* blocks, int64_t n);

}  // namespace fieldprint
