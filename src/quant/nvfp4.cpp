#include "quant/nvfp4.h"

#include "base/float16.h"
#include "quant/mxfp4.h"

namespace fieldprint {

void decode_nvfp4(const void* blocks, float* values, int64_t n) {
  const auto* block = static_cast<const BlockNVFP4*>(blocks);
  for (int64_t at = 0; at < n; at += 64, ++block) {
    for (int group = 0; group < 4; ++group, values += 16) {
      const float half_scale = ue4m3_to_float(block->scales[group]) * 0.5f;
      for (int i = 0; i < 8; ++i) {
        const uint8_t pair = block->nibbles[group * 8 + i];
        values[i] = half_scale * static_cast<float>(kE2m1Doubled[pair & 15]);
        values[i + 8] = half_scale * static_cast<float>(kE2m1Doubled[pair >> 4]);
      }
    }
  }
}

}  // namespace fieldprint
