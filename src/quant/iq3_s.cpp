#include "quant/iq3_s.h"

#include "base/float16.h"
#include "quant/codebook.h"
#include "quant/codebook_search.h"

namespace fieldprint {

void decode_iq3_s(const void* blocks, float* values, int64_t n) {
  const auto* block = static_cast<const BlockIQ3_S*>(blocks);
  for (int64_t at = 0; at < n; at += 256, ++block) {
    for (int k = 0; k < 64; ++k, values += 4) {
      const int group = (block->groups[k / 16] >> (k / 8 % 2 * 4)) & 15;
      const float scale = half_to_float(block->scale) * static_cast<float>(1 + 2 * group);
      const int high = (block->rows_high[k / 8] >> (k % 8)) & 1;
      decode_row(kIq3SBook[block->rows[k] | high << 8], scale, block->signs[k / 2] >> (k % 2 * 4), values);
    }
  }
}

namespace {

constexpr GridShape kShape{
    .groups = 8, .variants = 1, .steps = 16, .factor = 1.0f, .level = 15.0f, .range_low = 0.3f, .range_high = 1.5f};

}  // namespace

void encode_iq3_s(const float* values, const float* importance, void* blocks, int64_t n) {
  static const SideBySide<4, 512> book(kIq3SBook);
  SignedUnits<4, 512, false> units(book);
  auto* block = static_cast<BlockIQ3_S*>(blocks);
  for (int64_t at = 0; at < n; at += 256, ++block) {
    Prepared<256> prepared;
    prepare(values + at, importance == nullptr ? nullptr : importance + at, &prepared);
    const GridBlock found = search_grid(kShape, prepared, &units);
    *block = {};
    block->scale = found.scale;
    for (int k = 0; k < 64; ++k) {
      const uint16_t row = found.choices[k / 2].rows[k % 2];
      block->rows[k] = static_cast<uint8_t>(row);
      block->rows_high[k / 8] |= static_cast<uint8_t>((row >> 8) << (k % 8));
    }
    for (int k = 0; k < 32; ++k) block->signs[k] = found.choices[k].signs;
    for (int g = 0; g < 8; ++g) block->groups[g / 2] |= static_cast<uint8_t>(found.steps[g] << (g % 2 * 4));
  }
}

}  // namespace fieldprint
