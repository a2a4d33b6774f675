// Shared by gelu_erf of kernels/scalar and its vector version in kernels/lanes.
#pragma once

namespace fieldprint {

// The normal distribution's tail: Phi(-a) = e^(-a^2 / 2) * t * (k0 + k1 t + ... + k8 t^8) with t = 1 / (1 + kSlope a).
// A minimax fit of the quotient; maximal relative error 1.3e-8 for a in [0, 13.3], beyond which e^(-a^2 / 2) is 0.
struct GeluConstants {
  static constexpr float kSlope = 0.21f;
  static constexpr float k[9] = {0.083706064f, 0.085154865f, 0.068621890f, 0.12697227f,  -0.098623205f,
                                 0.35595044f,  -0.33581534f, 0.28622271f,  -0.072189805f};
};

}  // namespace fieldprint
