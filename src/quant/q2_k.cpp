#include "quant/q2_k.h"

#include "base/float16.h"

namespace fieldprint {

void decode_q2_k(const void* blocks, float* values, int64_t n) {
  const auto* block = static_cast<const BlockQ2_K*>(blocks);
  for (int64_t at = 0; at < n; at += 256, ++block) {
    for (int group = 0; group < 16; ++group, values += 16) {
      const float scale = half_to_float(block->scale) * static_cast<float>(block->groups[group] & 15);
      const float minimum = half_to_float(block->minimum) * static_cast<float>(block->groups[group] >> 4);
      const uint8_t* quants = block->quants + group / 8 * 32 + group % 2 * 16;
      for (int i = 0; i < 16; ++i) {
        values[i] = scale * static_cast<float>((quants[i] >> (group / 2 % 4 * 2)) & 3) - minimum;
      }
    }
  }
}

}  // namespace fieldprint
