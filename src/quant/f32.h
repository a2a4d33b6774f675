// F32: IEEE single.
#pragma once

#include <cstdint>

namespace fieldprint {

struct BlockF32 {
  float value;
};
static_assert(sizeof(BlockF32) == 4);

void decode_f32(const void* blocks, float* values, int64_t n);
void encode_f32(const float* values, const float* importance, void* blocks, int64_t n);

}  // namespace fieldprint
