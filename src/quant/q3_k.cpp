#include "quant/q3_k.h"

#include "base/float16.h"
#include "quant/scale_search.h"

namespace fieldprint {

void decode_q3_k(const void* blocks, float* values, int64_t n) {
  const auto* block = static_cast<const BlockQ3_K*>(blocks);
  for (int64_t at = 0; at < n; at += 256, ++block) {
    for (int group = 0; group < 16; ++group, values += 16) {
      const int low = (block->groups[group % 8] >> (group / 8 * 4)) & 15;
      const int high = (block->groups[8 + group % 4] >> (group / 4 * 2)) & 3;
      const float scale = half_to_float(block->scale) * static_cast<float>((low | high << 4) - 32);
      const uint8_t* quants = block->quants + group / 8 * 32 + group % 2 * 16;
      const uint8_t* thirds = block->high + group % 2 * 16;
      for (int i = 0; i < 16; ++i) {
        const int quant = (quants[i] >> (group / 2 % 4 * 2)) & 3;
        const int third = (thirds[i] >> (group / 2)) & 1;
        values[i] = scale * static_cast<float>(quant - (third ^ 1) * 4);
      }
    }
  }
}

namespace {

constexpr EvenLevels kLevels{-4, 3};

}  // namespace

void encode_q3_k(const float* values, const float* importance, void* blocks, int64_t n) {
  auto* block = static_cast<BlockQ3_K*>(blocks);
  for (int64_t at = 0; at < n; at += 256, ++block) {
    const float* weights = importance == nullptr ? nullptr : importance + at;
    Prepared<256> prepared;
    prepare(values + at, weights, &prepared);
    const auto found = search_group_scales<16>(kLevels, prepared, 32, {16, 0.3f});
    const float scale = prepared.unit.scale(found.scale);
    uint8_t quants[256];
    for (int g = 0; g < 16; ++g) {
      nearest_indices(kLevels, prepared.x + g * 16, 16, scale * static_cast<float>(found.groups[g]), quants + g * 16);
    }
    *block = {};
    block->scale = found.scale;
    for (int g = 0; g < 16; ++g) {
      const int group = found.groups[g] + 32;
      block->groups[g % 8] |= static_cast<uint8_t>((group & 15) << (g / 8 * 4));
      block->groups[8 + g % 4] |= static_cast<uint8_t>((group >> 4) << (g / 4 * 2));
    }
    for (int i = 0; i < 256; ++i) {
      block->quants[i / 128 * 32 + i % 32] |= static_cast<uint8_t>((quants[i] & 3) << (i / 32 % 4 * 2));
      block->high[i % 32] |= static_cast<uint8_t>((quants[i] >> 2) << (i / 32));
    }
  }
}

}  // namespace fieldprint
