#include "quant/iq2_xs.h"

#include "base/float16.h"
#include "quant/codebook.h"

namespace fieldprint {

void decode_iq2_xs(const void* blocks, float* values, int64_t n) {
  const auto* block = static_cast<const BlockIQ2_XS*>(blocks);
  for (int64_t at = 0; at < n; at += 256, ++block) {
    for (int k = 0; k < 32; ++k, values += 8) {
      const int group = (block->groups[k / 4] >> (k / 2 % 2 * 4)) & 15;
      const float scale = half_to_float(block->scale) * (0.5f + static_cast<float>(group)) * 0.25f;
      decode_row(kIq2XsBook[block->rows[k] & 511], scale, even_signs(block->rows[k] >> 9), values);
    }
  }
}

}  // namespace fieldprint
