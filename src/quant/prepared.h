// A block made ready for an encoder's search: every encoder minimises sum of w * (x - decoded)^2 over its block.
#pragma once

#include <cstdint>

#include "base/float16.h"

namespace fieldprint {

// The divisor of a block's numbers, a power of two, so that no square overflows or vanishes; and the half precision in
// which its scales are stored.
struct Unit {
  float size = 1.0f;
  float inverse = 1.0f;

  // The nearest finite half of a scale in units, and back.
  uint16_t half(float scale) const {
    const float value = scale * size;
    return float_to_half(value > 65504.0f ? 65504.0f : value < -65504.0f ? -65504.0f : value);
  }
  float scale(uint16_t half) const { return half_to_float(half) * inverse; }
};

template <int kElements>
struct Prepared {
  alignas(16) float x[kElements];  // in units; 0 for a value that is not finite
  alignas(16) float w[kElements];  // > 0, the largest is 1
  Unit unit;
  bool zero = false;  // every value is 0, or too small for a half to scale
};

// Fills x, w [n] and unit from `values` and `importance` (nullptr: all alike; so are weights of which none is above 0).
// Returns false where the block counts as zero.
bool prepare(const float* values, const float* importance, int n, float* x, float* w, Unit* unit);

template <int kElements>
void prepare(const float* values, const float* importance, Prepared<kElements>* block) {
  block->zero = !prepare(values, importance, kElements, block->x, block->w, &block->unit);
}

}  // namespace fieldprint
