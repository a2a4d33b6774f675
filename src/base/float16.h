// Numbers of 16 and 8 bits: IEEE half, bfloat16, and the scale formats e8m0 and ue4m3 (OCP Microscaling 1.0).
// Exact to float, round to nearest even from float, the same bits on every machine. Integer selects rather than
// branches, so that a loop over them vectorises; no step needs float subnormals, so a thread that flushes them gets the
// same bits.
#pragma once

#include <bit>
#include <cstdint>

namespace fieldprint {

// NaN payloads are kept.
static inline float half_to_float(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16;
  const uint32_t magnitude = half & 0x7fff;
  const uint32_t rebias = 112u << 23;  // 127 - 15
  const uint32_t subnormal = std::bit_cast<uint32_t>(static_cast<float>(static_cast<int32_t>(magnitude)) * 0x1p-24f);
  const uint32_t normal = (magnitude << 13) + rebias;
  const uint32_t bits = magnitude < 0x0400 ? subnormal : normal + (magnitude >= 0x7c00 ? rebias : 0);
  return std::bit_cast<float>(sign | bits);
}

// Too large becomes infinity; a NaN keeps the top of its payload and becomes quiet.
static inline uint16_t float_to_half(float value) {
  const uint32_t all = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (all >> 16) & 0x8000;
  const uint32_t magnitude = all & 0x7fffffff;
  // Adding 0.5, whose last place is 2^-24, lets the float unit round to a multiple of a half's smallest step.
  const uint32_t subnormal =
      std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude < 0x38800000 ? magnitude : 0) + 0.5f) - 0x3f000000;
  const uint32_t normal = (magnitude - (112u << 23) + 0x0fff + ((magnitude >> 13) & 1)) >> 13;
  const uint32_t nan = 0x7e00 | ((magnitude >> 13) & 0x03ff);
  uint32_t half = magnitude < 0x38800000 ? subnormal : normal;  // 2^-14
  half = magnitude >= 0x477ff000 ? 0x7c00 : half;               // 65520, halfway past the largest half
  half = magnitude > 0x7f800000 ? nan : half;
  return static_cast<uint16_t>(sign | half);
}

static inline float bfloat16_to_float(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

static inline uint16_t float_to_bfloat16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  return static_cast<uint16_t>((bits & 0x7fffffff) > 0x7f800000 ? (bits >> 16) | 0x0040 : rounded);
}

// e8m0: 2^(code - 127), codes 0..254; 255 is NaN.
static inline float e8m0_to_float(uint8_t code) {
  const uint32_t bits = code == 0 ? 0x00400000u : static_cast<uint32_t>(code) << 23;
  return std::bit_cast<float>(code == 255 ? 0x7fc00000u : bits);
}

// The nearest power of two (halfway, 1.5 * 2^k: to the even code), clamped to the range; NaN and infinity give 255.
static inline uint8_t float_to_e8m0(float value) {
  const uint32_t magnitude = std::bit_cast<uint32_t>(value) & 0x7fffffff;
  if (magnitude >= 0x7f800000) return 255;
  // Below 2^-126 the float is subnormal: code 0 is 2^-127, and 1.5 * 2^-127 is halfway to code 1, which is odd.
  if (magnitude < 0x00800000) return magnitude > 0x00600000 ? 1 : 0;
  const uint32_t code = (magnitude + 0x003fffff + ((magnitude >> 23) & 1)) >> 23;
  return static_cast<uint8_t>(code < 254 ? code : 254);
}

// ue4m3: no sign, 4 bits of exponent (bias 7), 3 of mantissa, subnormals, no infinity. Codes 0..126 are 0..448 in
// order. Bit 7 has no meaning. 127 reads as 0 in GGML files, not as the NaN it is in the OCP format; so here.
static inline float ue4m3_to_float(uint8_t code) {
  const uint32_t exponent = (code >> 3) & 15;
  const uint32_t mantissa = code & 7;
  const float subnormal = static_cast<float>(static_cast<int32_t>(mantissa)) * 0x1p-9f;
  const float normal = std::bit_cast<float>((exponent + 120) << 23 | mantissa << 20);
  return code == 0x7f ? 0.0f : exponent == 0 ? subnormal : normal;
}

// Clamped to 0..448; NaN gives 0.
static inline uint8_t float_to_ue4m3(float value) {
  if (!(value > 0.0f)) return 0;
  if (value >= 448.0f) return 126;
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if (value < 0x1p-6f)
    return static_cast<uint8_t>(std::bit_cast<uint32_t>(value + 0x1p14f) - 0x46800000u);  // step 2^-9
  return static_cast<uint8_t>((bits - (120u << 23) + 0x0007ffff + ((bits >> 20) & 1)) >> 20);
}

}  // namespace fieldprint
