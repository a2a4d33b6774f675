#include "quant/q5_0.h"

#include "base/float16.h"

namespace fieldprint {

void decode_q5_0(const void* blocks, float* values, int64_t n) {
  const auto* block = static_cast<const BlockQ5_0*>(blocks);
  for (int64_t at = 0; at < n; at += 32, ++block, values += 32) {
    const float scale = half_to_float(block->scale);
    for (int i = 0; i < 16; ++i) {
      const int low = block->nibbles[i] & 15, first = (block->high[i / 8] >> (i % 8)) & 1;
      const int high = block->nibbles[i] >> 4, second = (block->high[i / 8 + 2] >> (i % 8)) & 1;
      values[i] = scale * static_cast<float>((low | first << 4) - 16);
      values[i + 16] = scale * static_cast<float>((high | second << 4) - 16);
    }
  }
}

}  // namespace fieldprint
