#include "quant/iq2_s.h"

#include "base/float16.h"
#include "quant/codebook.h"

namespace fieldprint {

void decode_iq2_s(const void* blocks, float* values, int64_t n) {
  const auto* block = static_cast<const BlockIQ2_S*>(blocks);
  for (int64_t at = 0; at < n; at += 256, ++block) {
    for (int k = 0; k < 32; ++k, values += 8) {
      const int group = (block->groups[k / 4] >> (k / 2 % 2 * 4)) & 15;
      const float scale = half_to_float(block->scale) * (0.5f + static_cast<float>(group)) * 0.25f;
      const int high = (block->rows_high[k / 4] >> (k % 4 * 2)) & 3;
      decode_row(kIq2SBook[block->rows[k] | high << 8], scale, block->signs[k], values);
    }
  }
}

}  // namespace fieldprint
