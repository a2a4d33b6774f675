// The backward of GELU in the tanh form, which is gelu(z) = z s with s = sigmoid(2 sqrt(2 / pi) (z + 0.044715 z^3)).
#pragma once

#include "ops/backward.h"

namespace fieldprint {

template <class Number>
struct GeluSlope {
  Number slope, sigmoid;  // s + z s (1 - s) 2 sqrt(2 / pi) (1 + 3 * 0.044715 z^2), and s
};

template <class Number>
GeluSlope<Number> gelu_slope(Number z) {
  constexpr Number kLinear = Number{-1} * static_cast<Number>(kGeluLinear),
                   kCubic = Number{-1} * static_cast<Number>(kGeluCubic);
  const Number s = 1 / (1 + exp_of(-z * (kLinear + kCubic * z * z)));
  return {s + z * s * (1 - s) * (kLinear + 3 * kCubic * z * z), s};
}

}  // namespace fieldprint
