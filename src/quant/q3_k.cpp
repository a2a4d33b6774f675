#include "quant/q3_k.h"

#include "base/float16.h"

namespace fieldprint {

void decode_q3_k(const void* blocks, float* values, int64_t n) {
  const auto* block = static_cast<const BlockQ3_K*>(blocks);
  for (int64_t at = 0; at < n; at += 256, ++block, values += 256) {
    for (int i = 0; i < 256; ++i) {
      const int group = i / 16;
      const int low = (block->groups[group % 8] >> (group / 8 * 4)) & 15;
      const int high = (block->groups[8 + group % 4] >> (group / 4 * 2)) & 3;
      const float scale = half_to_float(block->scale) * static_cast<float>((low | high << 4) - 32);
      const int quant = (block->quants[i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2)) & 3;
      const int third = (block->high[i % 32] >> (i / 32)) & 1;
      values[i] = scale * static_cast<float>(quant - (third ^ 1) * 4);
    }
  }
}

}  // namespace fieldprint
