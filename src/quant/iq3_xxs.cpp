#include "quant/iq3_xxs.h"

#include "base/float16.h"
#include "quant/codebook.h"
#include "quant/codebook_search.h"

namespace fieldprint {

void decode_iq3_xxs(const void* blocks, float* values, int64_t n) {
  const auto* block = static_cast<const BlockIQ3_XXS*>(blocks);
  for (int64_t at = 0; at < n; at += 256, ++block) {
    for (int group = 0; group < 8; ++group) {
      const uint32_t bits = block->signs[group * 2] | static_cast<uint32_t>(block->signs[group * 2 + 1]) << 16;
      const float scale = half_to_float(block->scale) * (0.5f + static_cast<float>(bits >> 28)) * 0.5f;
      for (int k = 0; k < 8; ++k, values += 4) {
        const unsigned signs = even_signs(bits >> (k / 2 * 7)) >> (k % 2 * 4);
        decode_row(kIq3XxsBook[block->rows[group * 8 + k]], scale, signs, values);
      }
    }
  }
}

namespace {

constexpr GridShape kShape{
    .groups = 8, .variants = 1, .steps = 16, .factor = 0.25f, .level = 62.0f, .range_low = 0.3f, .range_high = 1.5f};

}  // namespace

void encode_iq3_xxs(const float* values, const float* importance, void* blocks, int64_t n) {
  static const SideBySide<4, 256> book(kIq3XxsBook);
  SignedUnits<4, 256, true> units(book);
  auto* block = static_cast<BlockIQ3_XXS*>(blocks);
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
        for (int half = 0; half < 2; ++half) {
          block->rows[g * 8 + k * 2 + half] = static_cast<uint8_t>(choice.rows[half]);
        }
        bits |= (choice.signs & 127u) << (7 * k);
      }
      block->signs[g * 2] = static_cast<uint16_t>(bits);
      block->signs[g * 2 + 1] = static_cast<uint16_t>(bits >> 16);
    }
  }
}

}  // namespace fieldprint
