#include "quant/tq2_0.h"

#include "base/float16.h"

namespace fieldprint {

void decode_tq2_0(const void* blocks, float* values, int64_t n) {
  const auto* block = static_cast<const BlockTQ2_0*>(blocks);
  for (int64_t at = 0; at < n; at += 256, ++block, values += 256) {
    const float scale = half_to_float(block->scale);
    for (int i = 0; i < 256; ++i) {
      const int quant = (block->quants[i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2)) & 3;
      values[i] = scale * static_cast<float>(quant - 1);
    }
  }
}

}  // namespace fieldprint
