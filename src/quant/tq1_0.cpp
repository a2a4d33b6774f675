#include "quant/tq1_0.h"

#include "base/float16.h"

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

}  // namespace fieldprint
