// The search for a scale and a minimum: x is about scale * q - minimum, q = 0 .. top. For given quants both follow from
// two linear equations; the search tries a ladder of ranges, improves each by least squares, and
// alternates from the best.
#pragma once

#include "quant/lanes.h"
#include "quant/prepared.h"

namespace fieldprint {

struct Affine {
  float scale = 0.0f;
  float minimum = 0.0f;  // taken away; K types store it without a sign
};

// With q the nearest of 0 .. top to (x + minimum) / scale: error = sum(w (x - scale q + minimum)^2), q = sum(w q),
// qq = sum(w q^2), xq = sum(w x q).
struct AffineFit {
  float error, q, qq, xq;
};

// `w_sum` and `wx_sum` of an AffineProblem are sum(w) and sum(w x).
struct AffineProblem {
  const float* x;
  const float* w;
  int n;  // a multiple of 4
  float top;
  bool unsigned_minimum;
  float w_sum, wx_sum;
};

AffineProblem affine_problem(const float* x, const float* w, int n, int top, bool unsigned_minimum);

AffineFit fit_affine(const AffineProblem& problem, Affine at);

// The least-squares scale and minimum for the quants of `fit`, and in *error the error that they leave.
Affine solve_affine(const AffineProblem& problem, const AffineFit& fit, Affine at, float* error);

Affine search_affine(const AffineProblem& problem);

void affine_quants(const AffineProblem& problem, Affine at, uint8_t* quants);

// Blocks of one half scale and one half minimum, added rather than taken away (Q4_1, Q5_1).
struct HalfAffine {
  uint16_t scale, minimum;
};
HalfAffine encode_affine_32(const float* values, const float* importance, int top, uint8_t* quants);

// 256 values in up to 16 groups: scale * group scale * q - minimum * group minimum (Q2_K, Q4_K, Q5_K).
struct GroupAffine {
  uint16_t scale = 0, minimum = 0;  // halves
  int scales[16] = {}, minimums[16] = {};
};
GroupAffine encode_group_affine(const float* values, const float* importance, int groups, int group_top, int top,
                                uint8_t* quants);

}  // namespace fieldprint
