#include "quant/q6_k.h"

#include "base/float16.h"

namespace fieldprint {

void decode_q6_k(const void* blocks, float* values, int64_t n) {
  const auto* block = static_cast<const BlockQ6_K*>(blocks);
  for (int64_t at = 0; at < n; at += 256, ++block, values += 256) {
    for (int i = 0; i < 256; ++i) {
      const float scale = half_to_float(block->scale) * static_cast<float>(block->groups[i / 16]);
      const int low = (block->nibbles[i / 128 * 64 + i % 64] >> (i / 64 % 2 * 4)) & 15;
      const int high = (block->high[i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2)) & 3;
      values[i] = scale * static_cast<float>((low | high << 4) - 32);
    }
  }
}

}  // namespace fieldprint
