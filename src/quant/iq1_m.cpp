#include "quant/iq1_m.h"

#include "base/float16.h"
#include "quant/codebook.h"

namespace fieldprint {

void decode_iq1_m(const void* blocks, float* values, int64_t n) {
  const auto* block = static_cast<const BlockIQ1_M*>(blocks);
  for (int64_t at = 0; at < n; at += 256, ++block) {
    const uint16_t* groups = block->groups;
    const auto scale_bits = static_cast<uint16_t>(groups[0] >> 12 | (groups[1] >> 12) << 4 | (groups[2] >> 12) << 8 |
                                                  (groups[3] >> 12) << 12);
    for (int k = 0; k < 32; ++k, values += 8) {
      const int group = (groups[k / 8] >> (k / 2 % 4 * 3)) & 7;
      const float scale = half_to_float(scale_bits) * static_cast<float>(2 * group + 1);
      const int high = block->rows_high[k / 2] >> (k % 2 * 4);
      const float delta = (high & 8) != 0 ? -0.125f : 0.125f;
      const CodebookRow<8>& row = kIq1Book[block->rows[k] | (high & 7) << 8];
      for (int i = 0; i < 8; ++i) values[i] = scale * (static_cast<float>(row[i]) + delta);
    }
  }
}

}  // namespace fieldprint
