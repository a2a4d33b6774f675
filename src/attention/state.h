// The online softmax of one query: running maximum m, denominator l, output o (not yet divided by l).
// A tile of scores is absorbed by the kernels' softmax_tile(); states over disjoint key ranges merge into the state
// over their union (FlashAttention; FlashInfer's state algebra).
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/math.h"
#include "kernels/table.h"

namespace fieldprint {

struct SoftmaxState {
  float m = -std::numeric_limits<float>::infinity();
  float l = 0;

  bool empty() const { return l == 0; }
};

// (state, o) <- (state, o) and `count` more keys: scores [count] become their weights, by which the caller adds values
// to o; o [d] is rescaled for that. Scores of -inf count for nothing; a state that has seen no others stays empty.
inline void absorb(const KernelTable& kernels, SoftmaxState& state, float* o, int d, float* scores, int count,
                   float scale) {
  const float rescale = kernels.softmax_tile(scores, count, scale, &state.m, &state.l);
  if (rescale == 1) return;  // the maximum stayed, which is the rule
  for (int i = 0; i < d; ++i) o[i] *= rescale;
}

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
