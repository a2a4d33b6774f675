// The few transcendental functions the engine needs, made of IEEE operations only, so that their bits do not depend on
// the machine's libm. exp_f32 is the contract every ISA's vector version repeats operation by operation.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "base/exp_constants.h"

namespace fieldprint {

// e^x. NaN in, NaN out.
inline float exp_f32(float x) {
  using C = ExpConstants;
  if (x < C::kLow) return 0.0f;
  if (x > C::kHigh) x = C::kHigh;
  const float shifted = std::fma(x, C::kLog2e, C::kRound);
  const float n = shifted - C::kRound;
  float r = std::fma(n, -C::kLn2High, x);
  r = std::fma(n, -C::kLn2Low, r);
  float p = std::fma(C::kC6, r, C::kC5);
  p = std::fma(p, r, C::kC4);
  p = std::fma(p, r, C::kC3);
  p = std::fma(p, r, C::kC2);
  p = std::fma(p, r * r, r);  // e^r - 1
  const auto scale = std::bit_cast<float>((std::bit_cast<uint32_t>(shifted) << 23) + 0x3f800000u);
  return std::fma(p, scale, scale);
}

double exp_f64(double x);                                 // relative error < 1e-15
double log_f64(double x);                                 // x > 0
void sincos_f64(double x, double* sine, double* cosine);  // |x| < 2^30, absolute error < 1e-15 * max(1, |x| * 1e-7)

}  // namespace fieldprint
