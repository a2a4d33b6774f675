// States of the online softmax (SoftmaxState) over disjoint key ranges merge into the state over their union
// (FlashAttention; FlashInfer's state algebra).
#pragma once

#include <algorithm>

#include "base/math.h"
#include "kernels/table.h"

namespace fieldprint {

// (state, o) <- (state, o) merged with (other, other_o); o [d]. Two empty states stay empty.
inline void merge(SoftmaxState& state, float* o, const SoftmaxState& other, const float* other_o, int d) {
  if (other.empty()) return;
  const float m = std::max(state.m, other.m);
  const float keep = exp_f32(state.m - m), take = exp_f32(other.m - m);
  state.m = m;
  state.l = state.l * keep + other.l * take;
  for (int i = 0; i < d; ++i) o[i] = o[i] * keep + other_o[i] * take;
}

}  // namespace fieldprint
