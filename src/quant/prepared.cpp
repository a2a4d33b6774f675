#include "quant/prepared.h"

#include <bit>
#include <cmath>

namespace fieldprint {
namespace {

constexpr uint32_t kInfinity = 0x7f800000;

// The bits of |value|, 0 where it is not finite. Bits of magnitudes are in the order of their values.
uint32_t magnitude_bits(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value) & 0x7fffffff;
  return bits < kInfinity ? bits : 0;
}

}  // namespace

bool prepare(const float* values, const float* importance, int n, float* x, float* w, Unit* unit) {
  uint32_t largest = 0;
  for (int i = 0; i < n; ++i) {
    const uint32_t bits = magnitude_bits(values[i]);
    largest = bits > largest ? bits : largest;
  }
  int exponent = static_cast<int>(largest >> 23) - 127;
  exponent = exponent < -126 ? -126 : exponent > 126 ? 126 : exponent;
  unit->size = std::bit_cast<float>(static_cast<uint32_t>(exponent + 127) << 23);
  unit->inverse = std::bit_cast<float>(static_cast<uint32_t>(127 - exponent) << 23);
  for (int i = 0; i < n; ++i) {
    const uint32_t bits = std::bit_cast<uint32_t>(values[i]);
    x[i] = std::bit_cast<float>((bits & 0x7fffffff) < kInfinity ? bits : 0) * unit->inverse;
  }

  float heaviest = 0.0f;
  if (importance != nullptr) {
    for (int i = 0; i < n; ++i) {
      const float weight = importance[i];
      heaviest = weight > heaviest && weight < HUGE_VALF ? weight : heaviest;
    }
  }
  // A trace of weight where there is none keeps every least-squares problem solvable.
  constexpr float kTrace = 1e-9f;
  const float inverse = heaviest > 0.0f ? 1.0f / heaviest : 0.0f;
  const bool usable = heaviest > 0.0f && inverse > 0.0f && inverse < HUGE_VALF;
  for (int i = 0; i < n; ++i) {
    const float weight = usable ? importance[i] * inverse : 1.0f;
    w[i] = weight > kTrace ? (weight < 1.0f ? weight : 1.0f) : kTrace;
  }
  return largest > 87u << 23;  // 2^-40; the least half above 0 is 2^-24
}

}  // namespace fieldprint
