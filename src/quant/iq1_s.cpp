#include "quant/iq1_s.h"

#include "base/float16.h"
#include "quant/codebook.h"
#include "quant/codebook_search.h"

namespace fieldprint {

void decode_iq1_s(const void* blocks, float* values, int64_t n) {
  const auto* block = static_cast<const BlockIQ1_S*>(blocks);
  for (int64_t at = 0; at < n; at += 256, ++block) {
    for (int k = 0; k < 32; ++k, values += 8) {
      const int group = block->groups[k / 4];
      const float scale = half_to_float(block->scale) * static_cast<float>(2 * ((group >> 12) & 7) + 1);
      const float delta = (group & 0x8000) != 0 ? -0.125f : 0.125f;
      const CodebookRow<8>& row = kIq1Book[block->rows[k] | ((group >> (k % 4 * 3)) & 7) << 8];
      for (int i = 0; i < 8; ++i) values[i] = scale * (static_cast<float>(row[i]) + delta);
    }
  }
}

namespace {

constexpr GridShape kShape{
    .groups = 8, .variants = 2, .steps = 8, .factor = 1.0f, .level = 1.125f, .range_low = 0.2f, .range_high = 1.2f};

}  // namespace

void encode_iq1_s(const float* values, const float* importance, void* blocks, int64_t n) {
  DeltaUnits units(false);
  auto* block = static_cast<BlockIQ1_S*>(blocks);
  for (int64_t at = 0; at < n; at += 256, ++block) {
    Prepared<256> prepared;
    prepare(values + at, importance == nullptr ? nullptr : importance + at, &prepared);
    const GridBlock found = search_grid(kShape, prepared, &units);
    *block = {};
    block->scale = found.scale;
    for (int g = 0; g < 8; ++g) {
      block->groups[g] = static_cast<uint16_t>(found.steps[g] << 12 | found.variants[g] << 15);
    }
    for (int k = 0; k < 32; ++k) {
      const uint16_t row = found.choices[k].rows[0];
      block->rows[k] = static_cast<uint8_t>(row);
      block->groups[k / 4] = static_cast<uint16_t>(block->groups[k / 4] | (row >> 8) << (k % 4 * 3));
    }
  }
}

}  // namespace fieldprint
