#include "quant/random_blocks.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>
#include <memory>

#include "base/float16.h"
#include "quant/iq1_m.h"
#include "quant/mxfp4.h"
#include "quant/nvfp4.h"
#include "quant/q2_k.h"
#include "quant/q3_k.h"
#include "quant/q4_1.h"
#include "quant/q4_k.h"
#include "quant/q5_1.h"
#include "quant/q5_k.h"
#include "quant/q6_k.h"
#include "quant/tq1_0.h"
#include "quant/tq2_0.h"

namespace fieldprint {

// Where a block keeps its scale.
struct ScaleField {
  enum Kind {
    kHalf,         // of either sign, so that quants that lean to one side (-8 .. 7) even out
    kHalfMinimum,  // with a second half, `minimum` times as large, that moves the mean to 0
    kTernary,      // as kHalf, beside quants of 2 bits of which 3 is none
    kSplitHalf,    // a half in the high 4 bits of four words
    kE8m0,         // one byte, a power of two
    kUe4m3,        // four bytes, one a group
  };
  const char* type;
  Kind kind;
  size_t offset;
  size_t minimum_offset = 0;
  float minimum = 0;
};

namespace {

// A type in blocks has a row.
constexpr ScaleField kFields[] = {
    {"Q4_0", ScaleField::kHalf, 0},
    {"Q4_1", ScaleField::kHalfMinimum, offsetof(BlockQ4_1, scale), offsetof(BlockQ4_1, minimum), -7.5f},
    {"Q5_0", ScaleField::kHalf, 0},
    {"Q5_1", ScaleField::kHalfMinimum, offsetof(BlockQ5_1, scale), offsetof(BlockQ5_1, minimum), -15.5f},
    {"Q8_0", ScaleField::kHalf, 0},
    {"Q2_K", ScaleField::kHalfMinimum, offsetof(BlockQ2_K, scale), offsetof(BlockQ2_K, minimum), 1.5f},
    {"Q3_K", ScaleField::kHalf, offsetof(BlockQ3_K, scale)},
    {"Q4_K", ScaleField::kHalfMinimum, offsetof(BlockQ4_K, scale), offsetof(BlockQ4_K, minimum), 7.5f},
    {"Q5_K", ScaleField::kHalfMinimum, offsetof(BlockQ5_K, scale), offsetof(BlockQ5_K, minimum), 15.5f},
    {"Q6_K", ScaleField::kHalf, offsetof(BlockQ6_K, scale)},
    {"IQ1_S", ScaleField::kHalf, 0},
    {"IQ1_M", ScaleField::kSplitHalf, offsetof(BlockIQ1_M, groups)},
    {"IQ2_XXS", ScaleField::kHalf, 0},
    {"IQ2_XS", ScaleField::kHalf, 0},
    {"IQ2_S", ScaleField::kHalf, 0},
    {"IQ3_XXS", ScaleField::kHalf, 0},
    {"IQ3_S", ScaleField::kHalf, 0},
    {"IQ4_NL", ScaleField::kHalf, 0},
    {"IQ4_XS", ScaleField::kHalf, 0},
    {"TQ1_0", ScaleField::kHalf, offsetof(BlockTQ1_0, scale)},
    {"TQ2_0", ScaleField::kTernary, offsetof(BlockTQ2_0, scale)},
    {"MXFP4", ScaleField::kE8m0, offsetof(BlockMXFP4, exponent)},
    {"NVFP4", ScaleField::kUe4m3, offsetof(BlockNVFP4, scales)},
};

const ScaleField* field_of(const QuantType& type) {
  if (type.block_elements == 1) return nullptr;
  const auto* found = std::find_if(std::begin(kFields), std::end(kFields),
                                   [&](const ScaleField& field) { return type.name == field.type; });
  assert(found != std::end(kFields));
  return found;
}

// The code whose float is next to `scale`: below it or above, so that the mean square over all `draw` in 0..1 fits.
template <typename ToFloat>
std::byte code_near(double scale, double draw, int codes, ToFloat to_float) {
  int low = 0;
  while (low + 2 < codes && to_float(static_cast<uint8_t>(low + 1)) <= scale) ++low;
  const double below = to_float(static_cast<uint8_t>(low)), above = to_float(static_cast<uint8_t>(low + 1));
  const double share = (scale * scale - below * below) / (above * above - below * below);
  return static_cast<std::byte>(draw < share ? low + 1 : low);
}

double root_mean_square(const std::vector<float>& values) {
  double sum = 0;
  for (const float value : values) sum += static_cast<double>(value) * static_cast<double>(value);
  return std::sqrt(sum / static_cast<double>(values.size()));
}

// Floats of kBytes each, five of the table's 4096 from each random number.
template <size_t kBytes>
void fill_values(const std::vector<std::array<std::byte, 4>>& table, Rng& random, std::byte* out, size_t bytes) {
  constexpr int kBits = 12, kDraws = 5;
  assert(table.size() == 1 << kBits);
  const std::array<std::byte, 4>* values = table.data();
  const auto put = [&](size_t at, uint64_t draw) { std::memcpy(out + at, values[draw & 0xfff].data(), kBytes); };
  size_t at = 0;
  for (; at + kDraws * kBytes <= bytes; at += kDraws * kBytes) {
    const uint64_t draws = random.next();
    for (int i = 0; i < kDraws; ++i) put(at + static_cast<size_t>(i) * kBytes, draws >> (i * kBits));
  }
  for (uint64_t draws = random.next(); at < bytes; at += kBytes, draws >>= kBits) put(at, draws);
}

}  // namespace

void RandomBlocks::set_scales(double scale, double jitter) {
  table_.assign(kScales, {});
  for (size_t i = 0; i < kScales; ++i) {
    const double draw = (static_cast<double>(i) + 0.5) / static_cast<double>(kScales);
    const double one = scale * (1 + jitter * (2 * draw - 1));
    // Another draw in 0..1 for the codes, in no step with the first: 167 is odd, so that all of 0..255 come up.
    const double other = (static_cast<double>(i * 167 % kScales) + 0.5) / static_cast<double>(kScales);
    std::byte* out = table_[i].data();
    switch (field_->kind) {
      case ScaleField::kHalf:
      case ScaleField::kTernary:
      case ScaleField::kSplitHalf:
      case ScaleField::kHalfMinimum: {
        const uint16_t halves[] = {float_to_half(static_cast<float>(one)),
                                   float_to_half(static_cast<float>(one * static_cast<double>(field_->minimum)))};
        std::memcpy(out, halves, sizeof(halves));
        break;
      }
      case ScaleField::kE8m0:
        *out = code_near(one, other, 255, e8m0_to_float);
        break;
      case ScaleField::kUe4m3:
        *out = code_near(one, other, 127, ue4m3_to_float);
        break;
    }
  }
}

RandomBlocks::RandomBlocks(const QuantType& type, float deviation) : type_(&type), field_(field_of(type)) {
  assert(deviation > 0);
  if (field_ == nullptr) {
    table_.resize(kValues);
    for (size_t i = 0; i < kValues; ++i) {
      const double draw = (static_cast<double>(i) + 0.5) / static_cast<double>(kValues);
      const auto value = static_cast<float>(static_cast<double>(deviation) * std::sqrt(3.0) * (2 * draw - 1));
      type.encode(&value, nullptr, table_[i].data(), 1);
    }
    return;
  }
  // The deviation at a scale of 1 is measured on a sample, the same each time.
  constexpr int64_t kSample = 1 << 18;
  std::vector<std::byte> blocks(type.bytes(kSample));
  std::vector<float> values(kSample);
  set_scales(1.0, 0.0);
  Rng random(0);
  fill(random, blocks.data(), kSample);
  type.decode(blocks.data(), values.data(), kSample);
  constexpr double kJitter = 0.25;
  set_scales(static_cast<double>(deviation) / root_mean_square(values) / std::sqrt(1 + kJitter * kJitter / 3), kJitter);
}

void RandomBlocks::fill(Rng& random, void* blocks, int64_t n) const {
  auto* out = static_cast<std::byte*>(blocks);
  const auto block = static_cast<size_t>(type_->block_bytes);
  const auto bytes = static_cast<size_t>(type_->bytes(static_cast<uint64_t>(n)));
  if (field_ == nullptr) {
    if (block == 2) fill_values<2>(table_, random, out, bytes);
    else fill_values<4>(table_, random, out, bytes);
    return;
  }
  for (size_t at = 0; at < bytes; at += sizeof(uint64_t)) {
    const uint64_t word = random.next();
    std::memcpy(out + at, &word, std::min(sizeof(word), bytes - at));
  }
  // The random bits in the place of the scale choose it.
  constexpr std::byte kSign{0x80}, kHigh{0xf0}, kLow{0x0f};
  const auto chosen = [&](std::byte bits) { return table_[std::to_integer<size_t>(bits)].data(); };
  for (std::byte* const end = out + bytes; out < end; out += block) {
    std::byte* scale = out + field_->offset;
    switch (field_->kind) {
      case ScaleField::kTernary:  // 3 becomes 1, which stands for 0
        for (std::byte* quants = out; quants < scale; ++quants)
          *quants &= ~((*quants & *quants << 1) & std::byte{0xaa});
        [[fallthrough]];
      case ScaleField::kHalf: {
        const std::byte sign = scale[1] & kSign;
        std::memcpy(scale, chosen(scale[0]), 2);
        scale[1] |= sign;
        break;
      }
      case ScaleField::kHalfMinimum: {
        const std::byte* halves = chosen(scale[0]);
        std::memcpy(scale, halves, 2);
        std::memcpy(out + field_->minimum_offset, halves + 2, 2);
        break;
      }
      case ScaleField::kSplitHalf: {
        const std::byte* half = chosen((scale[1] & kHigh) | scale[3] >> 4);
        const std::byte sign = scale[5] & kSign;
        const std::byte nibbles[] = {half[0] << 4, half[0] & kHigh, half[1] << 4, (half[1] & kHigh) | sign};
        for (int word = 0; word < 4; ++word) {
          scale[2 * word + 1] = (scale[2 * word + 1] & kLow) | nibbles[word];
        }
        break;
      }
      case ScaleField::kE8m0:
        *scale = *chosen(*scale);
        break;
      case ScaleField::kUe4m3:
        for (int group = 0; group < 4; ++group) scale[group] = *chosen(scale[group]);
        break;
    }
  }
}

}  // namespace fieldprint
