#include "base/float16.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <random>

namespace fieldprint {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// The value that the bits stand for, from the format's definition, in double.
double half_by_definition(uint16_t half) {
  const int exponent = (half >> 10) & 31, mantissa = half & 1023;
  const double sign = half & 0x8000 ? -1 : 1;
  if (exponent == 31) return mantissa != 0 ? std::nan("") : sign * HUGE_VAL;
  return sign * (exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25));
}

TEST(Float16, EveryHalfIsExactAndComesBack) {
  for (uint32_t i = 0; i < 65536; ++i) {
    const auto half = static_cast<uint16_t>(i);
    const float value = half_to_float(half);
    const double expected = half_by_definition(half);
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(value)) << i;
      ASSERT_EQ(float_to_half(value), half | 0x0200) << i;  // quiet, payload kept
      continue;
    }
    ASSERT_EQ(value, expected) << i;
    ASSERT_EQ(std::signbit(value), std::signbit(expected)) << i;
    ASSERT_EQ(float_to_half(value), half) << i;
  }
}

TEST(Float16, HalvesRoundToNearestEven) {
  // Between every two neighbours, up to infinity as "65536": just below the middle, the middle, just above.
  for (uint32_t i = 0; i < 0x7c00; ++i) {
    const auto low = static_cast<uint16_t>(i), high = static_cast<uint16_t>(i + 1);
    const double above = high == 0x7c00 ? 65536.0 : half_by_definition(high);
    const auto middle = static_cast<float>((half_by_definition(low) + above) / 2);  // one bit more than a half: exact
    const uint16_t even = i % 2 == 0 ? low : high;
    ASSERT_EQ(float_to_half(std::nextafter(middle, 0.0f)), low) << i;
    ASSERT_EQ(float_to_half(middle), even) << i;
    ASSERT_EQ(float_to_half(std::nextafter(middle, kInfinity)), high) << i;
    ASSERT_EQ(float_to_half(-middle), even | 0x8000) << i;
  }
  EXPECT_EQ(float_to_half(std::numeric_limits<float>::max()), 0x7c00);
  EXPECT_EQ(float_to_half(-kInfinity), 0xfc00);
  EXPECT_EQ(float_to_half(std::numeric_limits<float>::denorm_min()), 0);
}

TEST(Float16, EveryBfloatComesBack) {
  for (uint32_t i = 0; i < 65536; ++i) {
    const auto bits = static_cast<uint16_t>(i);
    const float value = bfloat16_to_float(bits);
    ASSERT_EQ(std::bit_cast<uint32_t>(value), i << 16);
    ASSERT_EQ(float_to_bfloat16(value), std::isnan(value) ? bits | 0x0040 : bits) << i;
  }
}

TEST(Float16, BfloatsRoundToNearestEven) {
  struct Case {
    uint32_t bits;
    uint16_t rounded;
  };
  for (const auto& [bits, rounded] : std::array<Case, 8>{{{0x3f808000, 0x3f80},  // halfway, even below
                                                          {0x3f818000, 0x3f82},  // halfway, even above
                                                          {0x3f808001, 0x3f81},
                                                          {0x3f807fff, 0x3f80},
                                                          {0x7f7fffff, 0x7f80},  // the largest float: infinity
                                                          {0x00000001, 0x0000},
                                                          {0xff800000, 0xff80},
                                                          {0x7f800001, 0x7fc0}}}) {  // NaN stays NaN
    EXPECT_EQ(float_to_bfloat16(std::bit_cast<float>(bits)), rounded) << std::hex << bits;
  }
}

TEST(Float16, E8m0) {
  for (int code = 0; code < 255; ++code) {
    const float value = e8m0_to_float(static_cast<uint8_t>(code));
    ASSERT_EQ(value, std::ldexp(1.0, code - 127)) << code;
    ASSERT_EQ(float_to_e8m0(value), code);
    if (code == 254) continue;
    const float middle = value * 1.5f;
    ASSERT_EQ(float_to_e8m0(std::nextafter(middle, 0.0f)), code);
    ASSERT_EQ(float_to_e8m0(middle), code + code % 2);
    ASSERT_EQ(float_to_e8m0(std::nextafter(middle, kInfinity)), code + 1);
  }
  EXPECT_TRUE(std::isnan(e8m0_to_float(255)));
  EXPECT_EQ(float_to_e8m0(kInfinity), 255);
  EXPECT_EQ(float_to_e8m0(std::numeric_limits<float>::max()), 254);
  EXPECT_EQ(float_to_e8m0(0.0f), 0);
}

TEST(Float16, Ue4m3) {
  EXPECT_EQ(ue4m3_to_float(126), 448.0f);
  EXPECT_EQ(ue4m3_to_float(127), 0.0f);
  for (int code = 0; code < 127; ++code) {
    const auto byte = static_cast<uint8_t>(code);
    const int exponent = code >> 3, mantissa = code & 7;
    const double expected = exponent == 0 ? std::ldexp(mantissa, -9) : std::ldexp(8 + mantissa, exponent - 10);
    const float value = ue4m3_to_float(byte);
    ASSERT_EQ(value, expected) << code;
    ASSERT_EQ(float_to_ue4m3(value), code);
    if (code == 126) continue;
    const float middle = (value + ue4m3_to_float(static_cast<uint8_t>(code + 1))) / 2;
    ASSERT_EQ(float_to_ue4m3(std::nextafter(middle, 0.0f)), code);
    ASSERT_EQ(float_to_ue4m3(middle), code + code % 2);
    ASSERT_EQ(float_to_ue4m3(std::nextafter(middle, kInfinity)), code + 1);
  }
  EXPECT_EQ(float_to_ue4m3(1e9f), 126);
  EXPECT_EQ(float_to_ue4m3(-1.0f), 0);
  EXPECT_EQ(float_to_ue4m3(std::nanf("")), 0);
}

}  // namespace
}  // namespace fieldprint
