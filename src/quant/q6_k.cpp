#include "quant/q6_k.h"

#include "base/float16.h"

namespace fieldprint {

void decode_q6_k(const void* blocks, float* values, int64_t n) {
  const auto* block = static_cast<const BlockQ6_K*>(blocks);
  for (int64_t at = 0; at < n; at += 256, ++block) {
    for (int group = 0; group < 16; ++group, values += 16) {
      const float scale = half_to_float(block->scale) * static_cast<float>(block->groups[group]);
      const uint8_t* nibbles = block->nibbles + group / 8 * 64 + group % 4 * 16;
      const uint8_t* highs = block->high + group / 8 * 32 + group % 2 * 16;
      for (int i = 0; i < 16; ++i) {
        const int low = (nibbles[i] >> (group / 4 % 2 * 4)) & 15;
        const int high = (highs[i] >> (group / 2 % 4 * 2)) & 3;
        values[i] = scale * static_cast<float>((low | high << 4) - 32);
      }
    }
  }
}

}  // namespace fieldprint
