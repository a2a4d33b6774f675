#include "quant/iq2_xxs.h"

#include "base/float16.h"
#include "quant/codebook.h"

namespace fieldprint {

void decode_iq2_xxs(const void* blocks, float* values, int64_t n) {
  const auto* block = static_cast<const BlockIQ2_XXS*>(blocks);
  for (int64_t at = 0; at < n; at += 256, ++block) {
    for (const auto& group : block->groups) {
      const uint32_t bits = group.signs[0] | static_cast<uint32_t>(group.signs[1]) << 16;
      const float scale = half_to_float(block->scale) * (0.5f + static_cast<float>(bits >> 28)) * 0.25f;
      for (int k = 0; k < 4; ++k, values += 8) {
        decode_row(kIq2XxsBook[group.rows[k]], scale, even_signs(bits >> (7 * k)), values);
      }
    }
  }
}

}  // namespace fieldprint
