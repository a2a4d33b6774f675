#include "quant/iq4_xs.h"

#include "base/float16.h"
#include "quant/iq4_nl.h"

namespace fieldprint {

void decode_iq4_xs(const void* blocks, float* values, int64_t n) {
  const auto* block = static_cast<const BlockIQ4_XS*>(blocks);
  for (int64_t at = 0; at < n; at += 256, ++block) {
    for (int group = 0; group < 8; ++group, values += 32) {
      const int low = (block->groups_low[group / 2] >> (group % 2 * 4)) & 15;
      const int high = (block->groups_high >> (group * 2)) & 3;
      const float scale = half_to_float(block->scale) * static_cast<float>((low | high << 4) - 32);
      for (int i = 0; i < 16; ++i) {
        const uint8_t pair = block->nibbles[group * 16 + i];
        values[i] = scale * static_cast<float>(kIq4Levels[pair & 15]);
        values[i + 16] = scale * static_cast<float>(kIq4Levels[pair >> 4]);
      }
    }
  }
}

}  // namespace fieldprint
