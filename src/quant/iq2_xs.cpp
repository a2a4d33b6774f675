#include "quant/iq2_xs.h"

#include "base/float16.h"
#include "quant/codebook.h"
#include "quant/codebook_search.h"

namespace fieldprint {

void decode_iq2_xs(const void* blocks, float* values, int64_t n) {
  const auto* block = static_cast<const BlockIQ2_XS*>(blocks);
  for (int64_t at = 0; at < n; at += 256, ++block) {
    for (int k = 0; k < 32; ++k, values += 8) {
      const int group = (block->groups[k / 4] >> (k / 2 % 2 * 4)) & 15;
      const float scale = half_to_float(block->scale) * (0.5f + static_cast<float>(group)) * 0.25f;
      decode_row(kIq2XsBook[block->rows[k] & 511], scale, even_signs(block->rows[k] >> 9), values);
    }
  }
}

namespace {

constexpr GridShape kShape{
    .groups = 16, .variants = 1, .steps = 16, .factor = 0.125f, .level = 43.0f, .range_low = 0.25f, .range_high = 1.6f};

}  // namespace

void encode_iq2_xs(const float* values, const float* importance, void* blocks, int64_t n) {
  static const SideBySide<8, 512> book(kIq2XsBook);
  SignedUnits<8, 512, true> units(book);
  auto* block = static_cast<BlockIQ2_XS*>(blocks);
  for (int64_t at = 0; at < n; at += 256, ++block) {
    Prepared<256> prepared;
    prepare(values + at, importance == nullptr ? nullptr : importance + at, &prepared);
    const GridBlock found = search_grid(kShape, prepared, &units);
    *block = {};
    block->scale = found.scale;
    for (int k = 0; k < 32; ++k) {
      const RowChoice& choice = found.choices[k];
      block->rows[k] = static_cast<uint16_t>(choice.rows[0] | (choice.signs & 127) << 9);
    }
    for (int g = 0; g < 16; ++g) block->groups[g / 2] |= static_cast<uint8_t>(found.steps[g] << (g % 2 * 4));
  }
}

}  // namespace fieldprint
