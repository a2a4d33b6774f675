#include "quant/tq1_0.h"

#include "base/float16.h"
#include "quant/scale_search.h"

namespace fieldprint {

namespace {

// Digit k of `width` bytes, k = 0 .. digits - 1, as digits * width values.
void decode_digits(const uint8_t* bytes, int width, int digits, float scale, float* values) {
  int power = 1;  // 3^k
  for (int k = 0; k < digits; ++k, power *= 3) {
    for (int i = 0; i < width; ++i) {
      const int fraction = (bytes[i] * power) & 255;
      *values++ = scale * static_cast<float>((fraction * 3 >> 8) - 1);
    }
  }
}

}  // namespace

void decode_tq1_0(const void* blocks, float* values, int64_t n) {
  const auto* block = static_cast<const BlockTQ1_0*>(blocks);
  for (int64_t at = 0; at < n; at += 256, ++block, values += 256) {
    const float scale = half_to_float(block->scale);
    decode_digits(block->fives, 32, 5, scale, values);
    decode_digits(block->fives + 32, 16, 5, scale, values + 160);
    decode_digits(block->fours, 4, 4, scale, values + 240);
  }
}

namespace {

// The inverse of decode_digits. The last of five digits has weight 256 / 243 of a byte: rounding up keeps it.
void encode_digits(const uint8_t* quants, int width, int digits, uint8_t* bytes) {
  for (int i = 0; i < width; ++i) {
    int number = 0;
    for (int k = 0; k < 5; ++k) number = number * 3 + (k < digits ? quants[k * width + i] : 0);
    bytes[i] = static_cast<uint8_t>((number * 256 + 242) / 243);
  }
}

}  // namespace

void encode_tq1_0(const float* values, const float* importance, void* blocks, int64_t n) {
  auto* block = static_cast<BlockTQ1_0*>(blocks);
  for (int64_t at = 0; at < n; at += 256, ++block) {
    const float* weights = importance == nullptr ? nullptr : importance + at;
    uint8_t quants[256];
    block->scale = encode_scaled<256>(EvenLevels{-1, 1}, values + at, weights, {32, 0.15f}, quants);
    encode_digits(quants, 32, 5, block->fives);
    encode_digits(quants + 160, 16, 5, block->fives + 32);
    encode_digits(quants + 240, 4, 4, block->fours);
  }
}

}  // namespace fieldprint
