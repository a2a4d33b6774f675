#include "quant/iq3_s.h"

#include "base/float16.h"
#include "quant/codebook.h"

namespace fieldprint {

void decode_iq3_s(const void* blocks, float* values, int64_t n) {
  const auto* block = static_cast<const BlockIQ3_S*>(blocks);
  for (int64_t at = 0; at < n; at += 256, ++block) {
    for (int k = 0; k < 64; ++k, values += 4) {
      const int group = (block->groups[k / 16] >> (k / 8 % 2 * 4)) & 15;
      const float scale = half_to_float(block->scale) * static_cast<float>(1 + 2 * group);
      const int high = (block->rows_high[k / 8] >> (k % 8)) & 1;
      decode_row(kIq3SBook[block->rows[k] | high << 8], scale, block->signs[k / 2] >> (k % 2 * 4), values);
    }
  }
}

}  // namespace fieldprint
