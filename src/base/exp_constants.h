// Shared by exp_f32 (base/math.h) and its vector versions in kernels/.
#pragma once

namespace fieldprint {

// Constants of exp_f32: range reduction by n = round(x / ln 2), then a polynomial on [-ln2/2, ln2/2].
// Coefficients: a minimax fit of (e^r - 1 - r) / r^2; maximal error 1.01 ulp over [kLow, kHigh].
struct ExpConstants {
  static constexpr float kLow = -87.0f;  // below: 0
  static constexpr float kHigh = 88.0f;  // above: exp(88)
  static constexpr float kLog2e = 1.44269504088896341f;
  static constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer, half to even
  static constexpr float kLn2High = 0.693145751953125f;
  static constexpr float kLn2Low = 1.428606765330187e-06f;
  static constexpr float kC2 = 0x1.fffffcp-2f, kC3 = 0x1.555492p-3f, kC4 = 0x1.5558f2p-5f, kC5 = 0x1.123a2p-7f,
                         kC6 = 0x1.6a23cep-10f;
};

}  // namespace fieldprint
