// How the two halves of a gated feed-forward part become one.
#pragma once

#include "ops/tensor.h"

namespace fieldprint {

class Ops;

enum class Glu {
  kSilu,         // silu(gate) * up
  kGelu,         // gelu(gate) * up
  kClampedSilu,  // gpt-oss: Ops::swiglu_clamped
};

Tensor gated(Ops& ops, Glu glu, const Tensor& gate, const Tensor& up);

}  // namespace fieldprint
