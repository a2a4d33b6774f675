#include "quant/iq3_xxs.h"

#include "base/float16.h"
#include "quant/codebook.h"

namespace fieldprint {

void decode_iq3_xxs(const void* blocks, float* values, int64_t n) {
  const auto* block = static_cast<const BlockIQ3_XXS*>(blocks);
  for (int64_t at = 0; at < n; at += 256, ++block) {
    for (int group = 0; group < 8; ++group) {
      const uint32_t bits = block->signs[group * 2] | static_cast<uint32_t>(block->signs[group * 2 + 1]) << 16;
      const float scale = half_to_float(block->scale) * (0.5f + static_cast<float>(bits >> 28)) * 0.5f;
      for (int k = 0; k < 8; ++k, values += 4) {
        const unsigned signs = even_signs(bits >> (k / 2 * 7)) >> (k % 2 * 4);
        decode_row(kIq3XxsBook[block->rows[group * 8 + k]], scale, signs, values);
      }
    }
  }
}

}  // namespace fieldprint
