// Attention as the formulas say it, one query at a time, all scores in memory: the oracle of the walk. In double it is
// what results are compared with, in float the plain evaluation whose error says what error is natural.
#pragma once

#include "attention/kind.h"

namespace fieldprint {

// Keys and values of one kv head: key j at keys + j * stride [d].
template <class Number>
struct ReferenceKeys {
  const Number* keys;
  const Number* values;
  int64_t stride;
  int first, end;  // the query sees keys first <= j < end
};

// out [d] for one query q [d] (and r [d], where the kind wants it) of `head`, which reads kv_head. Number: double,
// float.
template <class Number>
void attend_reference(const AttentionSpec& spec, int d, int head, int kv_head, const Number* q, const Number* r,
                      const ReferenceKeys<Number>& context, Number* out);

// Gradients of sum over i of d_out[i] * out[i], added to: dq, dr [d], of keys and values as these lie, of the head's
// sink. Those that nobody wants are nullptr.
struct ReferenceGradients {
  double *dq, *dr, *dk, *dv, *d_sink;
};
void attend_reference_backward(const AttentionSpec& spec, int d, int head, int kv_head, const double* q,
                               const double* r, const ReferenceKeys<double>& context, const double* d_out,
                               const ReferenceGradients& gradients);

}  // namespace fieldprint
