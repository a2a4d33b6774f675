#include "quant/iq4_nl.h"

#include "base/float16.h"

namespace fieldprint {

void decode_iq4_nl(const void* blocks, float* values, int64_t n) {
  const auto* block = static_cast<const BlockIQ4_NL*>(blocks);
  for (int64_t at = 0; at < n; at += 32, ++block, values += 32) {
    const float scale = half_to_float(block->scale);
    for (int i = 0; i < 16; ++i) {
      values[i] = scale * static_cast<float>(kIq4Levels[block->nibbles[i] & 15]);
      values[i + 16] = scale * static_cast<float>(kIq4Levels[block->nibbles[i] >> 4]);
    }
  }
}

}  // namespace fieldprint
