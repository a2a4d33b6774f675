#include "quant/nvfp4.h"

#include "base/float16.h"
#include "quant/mxfp4.h"
#include "quant/scale_search.h"

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

namespace {

constexpr UnevenLevels kLevels(kE2m1Ascending);

}  // namespace

void encode_nvfp4(const float* values, const float* importance, void* blocks, int64_t n) {
  auto* block = static_cast<BlockNVFP4*>(blocks);
  for (int64_t at = 0; at < n; at += 64, ++block) {
    *block = {};
    for (int group = 0; group < 4; ++group) {
      const int64_t from = at + group * 16;
      Prepared<16> prepared;
      prepare(values + from, importance == nullptr ? nullptr : importance + from, &prepared);
      // Every code from clipping nothing (the largest of 2 units on level 12) down to half that.
      const int highest = prepared.zero ? 0 : float_to_ue4m3(prepared.unit.size * (2.0f / 6));
      const int lowest = prepared.zero ? 0 : float_to_ue4m3(prepared.unit.size * (1.0f / 12));
      float best_scale = 0.0f, best_error = 0.0f;
      for (int code = lowest; code <= highest; ++code) {
        const float scale = ue4m3_to_float(static_cast<uint8_t>(code)) * 0.5f * prepared.unit.inverse;
        const float error = fit_scale(kLevels, prepared.x, prepared.w, 16, scale).error;
        if (code > lowest && !(error < best_error)) continue;
        block->scales[group] = static_cast<uint8_t>(code);
        best_scale = scale, best_error = error;
      }
      uint8_t indices[16];
      nearest_indices(kLevels, prepared.x, 16, best_scale, indices);
      for (int i = 0; i < 8; ++i) {
        block->nibbles[group * 8 + i] = static_cast<uint8_t>(e2m1_code(indices[i]) | e2m1_code(indices[i + 8]) << 4);
      }
    }
  }
}

}  // namespace fieldprint
