#include "quant/iq2_xxs.h"

#include "base/float16.h"
#include "quant/codebook.h"
#include "quant/codebook_search.h"

namespace fieldprint {

void decode_iq2_xxs(const void* blocks, float* values, int64_t n) {
  const auto* block = static_cast<const BlockIQ2_XXS*>(blocks);
  for (int64_t at = 0; at < n; at += 256, ++block) {
    for (const auto& group : block->groups) {
      const uint32_t bits = group.signs[0] | static_cast<uint32_t>(group.signs[1]) << 16;
      const float scale = half_to_float(block->scale) * (0.5f + static_cast<float>(bits >> 28)) * 0.25f;
      for (int k = 0; k < 4; ++k, values += 8) {
        decode_row(kIq2XxsBook[group.rows[k]], scale, even_signs(bits >> (7 * k)), values);
      }
    }
  }
}

namespace {

constexpr GridShape kShape{
    .groups = 8, .variants = 1, .steps = 16, .factor = 0.125f, .level = 43.0f, .range_low = 0.25f, .range_high = 1.6f};

}  // namespace

void encode_iq2_xxs(const float* values, const float* importance, void* blocks, int64_t n) {
  static const SideBySide<8, 256> book(kIq2XxsBook);
  SignedUnits<8, 256, true> units(book);
  auto* block = static_cast<BlockIQ2_XXS*>(blocks);
  for (int64_t at = 0; at < n; at += 256, ++block) {
    Prepared<256> prepared;
    prepare(values + at, importance == nullptr ? nullptr : importance + at, &prepared);
    const GridBlock found = search_grid(kShape, prepared, &units);
    *block = {};
    block->scale = found.scale;
    for (int g = 0; g < 8; ++g) {
      uint32_t bits = static_cast<uint32_t>(found.steps[g]) << 28;
      for (int k = 0; k < 4; ++k) {
        const RowChoice& choice = found.choices[g * 4 + k];
        block->groups[g].rows[k] = static_cast<uint8_t>(choice.rows[0]);
        bits |= (choice.signs & 127u) << (7 * k);
      }
      block->groups[g].signs[0] = static_cast<uint16_t>(bits);
      block->groups[g].signs[1] = static_cast<uint16_t>(bits >> 16);
    }
  }
}

}  // namespace fieldprint
