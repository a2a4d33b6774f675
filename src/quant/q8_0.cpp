#include "quant/q8_0.h"

#include "base/float16.h"

namespace fieldprint {

void decode_q8_0(const void* blocks, float* values, int64_t n) {
  const auto* block = static_cast<const BlockQ8_0*>(blocks);
  for (int64_t at = 0; at < n; at += 32, ++block, values += 32) {
    const float scale = half_to_float(block->scale);
    for (int i = 0; i < 32; ++i) values[i] = scale * static_cast<float>(block->quants[i]);
  }
}

}  // namespace fieldprint
