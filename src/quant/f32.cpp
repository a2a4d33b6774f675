#include "quant/f32.h"

#include <cstring>

namespace fieldprint {

void decode_f32(const void* blocks, float* values, int64_t n) {
  if (n > 0) std::memcpy(values, blocks, static_cast<size_t>(n) * sizeof(float));
}

void encode_f32(const float* values, const float*, void* blocks, int64_t n) {
  if (n > 0) std::memcpy(blocks, values, static_cast<size_t>(n) * sizeof(float));
}

}  // namespace fieldprint
