#include "quant/iq1_m.h"

#include "base/float16.h"
#include "quant/codebook.h"
#include "quant/codebook_search.h"

namespace fieldprint {

void decode_iq1_m(const void* blocks, float* values, int64_t n) {
  const auto* block = static_cast<const BlockIQ1_M*>(blocks);
  for (int64_t at = 0; at < n; at += 256, ++block) {
    const uint16_t* groups = block->groups;
    const auto scale_bits = static_cast<uint16_t>(groups[0] >> 12 | (groups[1] >> 12) << 4 | (groups[2] >> 12) << 8 |
                                                  (groups[3] >> 12) << 12);
    for (int k = 0; k < 32; ++k, values += 8) {
      const int group = (groups[k / 8] >> (k / 2 % 4 * 3)) & 7;
      const float scale = half_to_float(scale_bits) * static_cast<float>(2 * group + 1);
      const int high = block->rows_high[k / 2] >> (k % 2 * 4);
      const float delta = (high & 8) != 0 ? -0.125f : 0.125f;
      const CodebookRow<8>& row = kIq1Book[block->rows[k] | (high & 7) << 8];
      for (int i = 0; i < 8; ++i) values[i] = scale * (static_cast<float>(row[i]) + delta);
    }
  }
}

namespace {

constexpr GridShape kShape{
    .groups = 16, .variants = 1, .steps = 8, .factor = 1.0f, .level = 1.125f, .range_low = 0.2f, .range_high = 1.2f};

}  // namespace

void encode_iq1_m(const float* values, const float* importance, void* blocks, int64_t n) {
  DeltaUnits units(true);
  auto* block = static_cast<BlockIQ1_M*>(blocks);
  for (int64_t at = 0; at < n; at += 256, ++block) {
    Prepared<256> prepared;
    prepare(values + at, importance == nullptr ? nullptr : importance + at, &prepared);
    const GridBlock found = search_grid(kShape, prepared, &units);
    *block = {};
    for (int i = 0; i < 4; ++i) block->groups[i] = static_cast<uint16_t>((found.scale >> (i * 4)) << 12);
    for (int g = 0; g < 16; ++g) {
      block->groups[g / 4] = static_cast<uint16_t>(block->groups[g / 4] | found.steps[g] << (g % 4 * 3));
    }
    for (int k = 0; k < 32; ++k) {
      const RowChoice& choice = found.choices[k];
      const int high = choice.rows[0] >> 8 | (choice.minus_delta ? 8 : 0);
      block->rows[k] = static_cast<uint8_t>(choice.rows[0]);
      block->rows_high[k / 2] |= static_cast<uint8_t>(high << (k % 2 * 4));
    }
  }
}

}  // namespace fieldprint
