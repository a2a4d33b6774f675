#include "quant/q3_k.h"

#include "base/float16.h"

namespace fieldprint {

void decode_q3_k(const void* blocks, float* values, int64_t n) {
  const auto* block = static_cast<const BlockQ3_K*>(blocks);
  for (int64_t at = 0; at < n; at += 256, ++block) {
    for (int group = 0; group < 16; ++group, values += 16) {
      const int low = (block->groups[group % 8] >> (group / 8 * 4)) & 15;
      const int high = (block->groups[8 + group % 4] >> (group / 4 * 2)) & 3;
      const float scale = half_to_float(block->scale) * static_cast<float>((low | high << 4) - 32);
      const uint8_t* quants = block->quants + group / 8 * 32 + group % 2 * 16;
      const uint8_t* thirds = block->high + group % 2 * 16;
      for (int i = 0; i < 16; ++i) {
        const int quant = (quants[i] >> (group / 2 % 4 * 2)) & 3;
        const int third = (thirds[i] >> (group / 2)) & 1;
        values[i] = scale * static_cast<float>(quant - (third ^ 1) * 4);
      }
    }
  }
}

}  // namespace fieldprint
