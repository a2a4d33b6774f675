#include "quant/q2_k.h"

#include "base/float16.h"

namespace fieldprint {

void decode_q2_k(const void* blocks, float* values, int64_t n) {
  const auto* block = static_cast<const BlockQ2_K*>(blocks);
  for (int64_t at = 0; at < n; at += 256, ++block, values += 256) {
    for (int i = 0; i < 256; ++i) {
      const int group = block->groups[i / 16];
      const float scale = half_to_float(block->scale) * static_cast<float>(group & 15);
      const float minimum = half_to_float(block->minimum) * static_cast<float>(group >> 4);
      const int quant = (block->quants[i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2)) & 3;
      values[i] = scale * static_cast<float>(quant) - minimum;
    }
  }
}

}  // namespace fieldprint
