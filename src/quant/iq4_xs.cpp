#include "quant/iq4_xs.h"

#include "base/float16.h"
#include "quant/iq4_nl.h"
#include "quant/scale_search.h"

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

namespace {

constexpr UnevenLevels kLevels(kIq4Levels);

}  // namespace

void encode_iq4_xs(const float* values, const float* importance, void* blocks, int64_t n) {
  auto* block = static_cast<BlockIQ4_XS*>(blocks);
  for (int64_t at = 0; at < n; at += 256, ++block) {
    const float* weights = importance == nullptr ? nullptr : importance + at;
    Prepared<256> prepared;
    prepare(values + at, weights, &prepared);
    const auto found = search_group_scales<8>(kLevels, prepared, 32, {14, 8.0f});
    const float scale = prepared.unit.scale(found.scale);
    uint8_t quants[256];
    for (int g = 0; g < 8; ++g) {
      nearest_indices(kLevels, prepared.x + g * 32, 32, scale * static_cast<float>(found.groups[g]), quants + g * 32);
    }
    *block = {};
    block->scale = found.scale;
    for (int g = 0; g < 8; ++g) {
      const int group = found.groups[g] + 32;
      block->groups_low[g / 2] |= static_cast<uint8_t>((group & 15) << (g % 2 * 4));
      block->groups_high = static_cast<uint16_t>(block->groups_high | (group >> 4) << (g * 2));
    }
    for (int i = 0; i < 256; ++i) {
      block->nibbles[i / 32 * 16 + i % 16] |= static_cast<uint8_t>(quants[i] << (i / 16 % 2 * 4));
    }
  }
}

}  // namespace fieldprint
