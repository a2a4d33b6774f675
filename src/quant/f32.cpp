#include "quant/f32.h"

#include <cstring>

namespace fieldprint {

void decode_f32(const void* blocks, float* values, int64_t n) {
  if (n > 0) std::memcpy(values, blocks, static_cast<size_t>(n) * sizeof(float));
}

}  // namespace fieldprint
