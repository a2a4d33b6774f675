#include "ops/ops.h"

namespace fieldprint {

Tensor gated(Ops& ops, Glu glu, const Tensor& gate, const Tensor& up) {
  switch (glu) {
    case Glu::kGelu:
      return ops.gelu_mul(gate, up);
    case Glu::kClampedSilu:
      return ops.swiglu_clamped(gate, up);
    default:
      return ops.silu_mul(gate, up);
  }
}

}  // namespace fieldprint
