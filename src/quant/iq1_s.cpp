#include "quant/iq1_s.h"

#include "base/float16.h"
#include "quant/codebook.h"

namespace fieldprint {

void decode_iq1_s(const void* blocks, float* values, int64_t n) {
  const auto* block = static_cast<const BlockIQ1_S*>(blocks);
  for (int64_t at = 0; at < n; at += 256, ++block) {
    for (int k = 0; k < 32; ++k, values += 8) {
      const int group = block->groups[k / 4];
      const float scale = half_to_float(block->scale) * static_cast<float>(2 * ((group >> 12) & 7) + 1);
      const float delta = (group & 0x8000) != 0 ? -0.125f : 0.125f;
      const CodebookRow<8>& row = kIq1Book[block->rows[k] | ((group >> (k % 4 * 3)) & 7) << 8];
      for (int i = 0; i < 8; ++i) values[i] = scale * (static_cast<float>(row[i]) + delta);
    }
  }
}

}  // namespace fieldprint
