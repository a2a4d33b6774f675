#include "quant/q6_k.h"

#include "base/float16.h"
#include "quant/scale_search.h"

namespace fieldprint {

void decode_q6_k(const void* blocks, float* values, int64_t n) {
  const auto* block = static_cast<const BlockQ6_K*>(blocks);
  for (int64_t at = 0; at < n; at += 256, ++block) {
    for (int group = 0; group < 16; ++group, values += 16) {
      const float scale = half_to_float(block->scale) * static_cast<float>(block->groups[group]);
      const uint8_t* nibbles = block->nibbles + group / 8 * 64 + group % 4 * 16;
      const uint8_t* highs = block->high + group / 8 * 32 + group % 2 * 16;
      for (int i = 0; i < 16; ++i) {
        const int low = (nibbles[i] >> (group / 4 % 2 * 4)) & 15;
        const int high = (highs[i] >> (group / 2 % 4 * 2)) & 3;
        values[i] = scale * static_cast<float>((low | high << 4) - 32);
      }
    }
  }
}

namespace {

constexpr EvenLevels kLevels{-32, 31};

}  // namespace

void encode_q6_k(const float* values, const float* importance, void* blocks, int64_t n) {
  auto* block = static_cast<BlockQ6_K*>(blocks);
  for (int64_t at = 0; at < n; at += 256, ++block) {
    const float* weights = importance == nullptr ? nullptr : importance + at;
    Prepared<256> prepared;
    prepare(values + at, weights, &prepared);
    const auto found = search_group_scales<16>(kLevels, prepared, 128, {14, 0.5f});
    const float scale = prepared.unit.scale(found.scale);
    uint8_t quants[256];
    for (int g = 0; g < 16; ++g) {
      nearest_indices(kLevels, prepared.x + g * 16, 16, scale * static_cast<float>(found.groups[g]), quants + g * 16);
    }
    *block = {};
    block->scale = found.scale;
    for (int g = 0; g < 16; ++g) block->groups[g] = static_cast<int8_t>(found.groups[g]);
    for (int i = 0; i < 256; ++i) {
      block->nibbles[i / 128 * 64 + i % 64] |= static_cast<uint8_t>((quants[i] & 15) << (i / 64 % 2 * 4));
      block->high[i / 128 * 32 + i % 32] |= static_cast<uint8_t>((quants[i] >> 4) << (i / 32 % 4 * 2));
    }
  }
}

}  // namespace fieldprint
